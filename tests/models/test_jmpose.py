"""JM-Pose: the paper's sizes by parameter count, every option by name, frozen parts, and that it learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jmpose_jax import losses
from jmpose_jax.errors import InputError
from jmpose_jax.models import JMPose
from jmpose_jax.models.motion import network_flow
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import make_train_step

BACKBONE = {
    "width": 4,
    "num_joints": 3,
    "stem_features": (4, 4),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}
TINY = {
    "backbone": BACKBONE,
    "num_joints": 3,
    "delta": 1,
    "channels": 4,
    "num_layers": 2,
    "offset_groups": 2,
    "qkv_kernel": 1,
    "gate": "conv1x1",
    "head": "residual",
    "aggregation": "residual",
    "alignment": "joint_flow",
    "flow_source": "batch",
    "flow_pairs": "support_to_key",
    "motion_blocks": 1,
    "fusion_blocks": 1,
}


def _batch(size=(32, 32), length=3, joints=3, count=2, flow_stride=4):
    keys = jax.random.split(jax.random.key(0), 3)
    flow_size = (size[0] // flow_stride, size[1] // flow_stride)
    return ClipBatch(
        frames=jax.random.randint(keys[0], (count, length, *size, 3), 0, 256).astype(jnp.uint8),
        keypoints=jax.random.uniform(keys[1], (count, joints, 2), minval=4, maxval=min(size) - 4),
        joint_weights=jnp.ones((count, joints)),
        transform=jnp.zeros((count, 2, 3)),
        box_score=jnp.ones(count),
        index=jnp.arange(count),
        valid=jnp.ones(count),
        flow=2 * jax.random.normal(keys[2], (count, length - 1, *flow_size, 2)),
    )


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _paper(**options):
    """Parameters and output of the paper's sizes, by shape only."""
    model = JMPose(**{"backbone": {"width": 48}, "num_joints": 15} | options)
    shapes = jax.ShapeDtypeStruct
    batch = jax.eval_shape(lambda: _batch((384, 288), 5, 15, 1, 1))
    batch = batch.replace(flow=None) if model.flow_source != "batch" else batch
    key = shapes((), jax.random.key(0).dtype)
    output, variables = jax.eval_shape(model.init_with_output, key, batch)
    return output, variables["params"]


def test_parameters_of_the_papers_sizes():
    """HRNet-W48, 384 x 288, delta 2, L 4, C 48: every module by its count."""
    output, params = _paper(qkv_kernel=1, gate="literal", flow_source="batch")
    assert output.heatmaps.shape == (1, 96, 72, 15) and output.initial_heatmaps.shape == (1, 5, 96, 72, 15)
    learner, motion = params["context_aware_joint_learner"], params["motion_encoder"]
    sampling = learner["sampling"]
    counts = {
        "backbone": _count(params["backbone"]),
        "aggregation": _count(params["heatmap_aggregation"]),
        "flow stem": _count([motion["stem1"], motion["stem2"]]),
        "flow blocks": _count(motion["blocks"]),
        "R": _count(learner["fusion"]),
        "JO": _count([sampling["offset_blocks"], sampling["offset_conv"]]),
        "JW": _count([sampling["mask_blocks"], sampling["mask_conv"]]),
        "DCN": _count([sampling["kernel"], sampling["bias"]]),
        "JMIB": _count(params["mutual_learning"]),
        "S": _count(params["fusion"]),
        "head": _count(params["head"]),
    }
    assert counts == {
        "backbone": 63_595_745 - 2 * 49,  # the published 17 joints less two
        "aggregation": 94_275,
        "flow stem": 24_480,
        "flow blocks": 169_056,
        "R": 51_264,
        "JO": 137_592,
        "JW": 90_828,
        "DCN": 20_784,
        "JMIB": 408_960,
        "S": 150_432,
        "head": 6_495,
    }
    predictors = _count([params[f"predictors{i}"] for i in range(1, 5)])
    assert predictors == 4 * (2 * (48 + 1) + 96 + 1) * 15
    assert _count(params) - counts["backbone"] - predictors == 1_154_166


def test_parameters_of_the_defaults():
    """3x3 queries, keys and values, the convolutional gate, and RAFT inside."""
    _, params = _paper()
    assert _count(params["flow_network"]) == 5_257_536
    assert _count(params["mutual_learning"]) == 851_328 + 4 * 404_640
    trainable = {name: tree for name, tree in params.items() if name not in ("backbone", "flow_network")}
    assert _count(trainable) == 3_226_794


# A third of the compile time of the default, for numbers that are looked at once or twice.
QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="module")
def tiny(random_variables):
    """A tiny model whose head and aggregation start at zero, as initialised, and all else at random."""
    model, batch = JMPose(**TINY), _batch()
    variables = random_variables(model, batch)
    params = variables["params"]
    zeros = functools.partial(jax.tree.map, jnp.zeros_like)
    aggregation = params["heatmap_aggregation"]
    refinement = aggregation["refinement"] | {"change": zeros(aggregation["refinement"]["change"])}
    aggregation = aggregation | {"weights": zeros(aggregation["weights"]), "refinement": refinement}
    params = params | {"head": zeros(params["head"]), "heatmap_aggregation": aggregation}
    return model, variables | {"params": params}, batch


def _apply(model, variables, batch, train=False):
    if train:
        return model.apply(variables, batch, train=True, mutable=["batch_stats"])
    return model.apply(variables, batch)


def test_the_residual_head_starts_at_the_aggregated_heatmaps(tiny):
    model, variables, batch = tiny
    output = jax.jit(lambda v, b: _apply(model, v, b), compiler_options=QUICK)(variables, batch)
    np.testing.assert_allclose(output.heatmaps, output.features["aggregated_heatmaps"], atol=1e-6)
    assert output.heatmaps.shape == (2, 8, 8, 3) and output.initial_heatmaps.shape == (2, 3, 8, 8, 3)
    assert set(output.features) == {
        "aggregated_heatmaps", "flow", "motion", "joint", "joint_layers", "motion_layers", "predictors"
    }  # fmt: skip
    assert len(output.features["joint_layers"]) == len(output.features["predictors"]) == 2


VARIANTS = {
    "paper head, rsb": {"head": "paper", "aggregation": "rsb", "alignment": "none", "flow_pairs": "consecutive"},
    "conv aggregation, conv gate": {"aggregation": "conv", "gate": "conv", "qkv_kernel": 3},
    "fixed aggregation, literal gate": {"aggregation": "fixed", "gate": "literal"},
    "spatial attention, heads": {"attention": "spatial", "heads": 2},
    "full attention": {"attention": "spatial_full"},
    "raw masks": {"mask_activation": "none"},
    "1x1 aggregation": {"aggregation": "conv1x1"},
    "inverse distances": {"aggregation": "inverse_distance", "alignment": "none"},
    "shared queries, more blocks": {"qkv": "shared", "interaction_blocks": 2, "context_blocks": 2, "offset_blocks": 0},
    "wide sampling": {"sampling_dilation": 3},
    "no flow": {"flow_source": "none"},
    "without CJL": {"use_cjl": False},
    "without JMML": {"use_jmml": False},
    "without JMIB": {"use_jmib": False},
    "without predictors": {"predictors": False},
    "feature differences": {"motion": "feature_difference", "alignment": "none"},
    "last feature differences": {"motion": "last_feature_difference", "alignment": "none"},
    "head blocks, lineage initialisation": {"head_blocks": 1, "kernel_init": "lineage", "head": "paper"},
    "trainable backbone": {"backbone_trainable": True},
    "small RAFT": {"flow_source": "raft", "flow_network": {"size": "small"}, "flow_iterations": 1},
}


def _variant(options):
    options = TINY | options
    return JMPose(**options), _batch((64, 64) if options["flow_source"] == "raft" else (32, 32))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_builds_what_it_says(name):
    model, batch = _variant(VARIANTS[name])
    output, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), batch)
    params = variables["params"]
    assert output.heatmaps.shape == output.features["aggregated_heatmaps"].shape
    assert ("context_aware_joint_learner" in params) == ("joint_projection" not in params) == (name != "without CJL")
    assert ("mutual_learning" in params) == (name not in ("without JMML", "without JMIB"))
    assert ("fusion" in params) == (name != "without JMML")
    assert ("flow_network" in params) == (name == "small RAFT")
    layers = {"without JMML": 0, "without JMIB": 1}.get(name, 2)
    assert len(output.features["joint_layers"]) == len(output.features["motion_layers"]) == layers
    predictors = 0 if name == "without predictors" else layers
    assert len(output.features["predictors"]) == len([k for k in params if k.startswith("predictors")]) == predictors


def test_raft_gets_the_frames_as_they_are(monkeypatch):
    """RGB in 0..255, not what the pose branch normalises."""
    seen = []

    def flow(network, frames, pairs, iterations):
        seen.append((frames, pairs, iterations))
        return jnp.zeros((2, len(pairs), 32, 32, 2))

    monkeypatch.setattr("jmpose_jax.models.jmpose.network_flow", flow)
    model, batch = JMPose(**TINY | {"flow_source": "raft", "flow_iterations": 3}), _batch()
    jax.eval_shape(lambda key: model.init(key, batch), jax.random.key(0))
    assert seen[0][0] is batch.frames and seen[0][1:] == (((0, 1), (2, 1)), 3)

    given = []
    network_flow(lambda *images: given.extend(images) or jnp.zeros((4, 32, 32, 2)), batch.frames, ((0, 1), (2, 1)))
    for images, frame in zip(given, ((0, 2), (1, 1)), strict=True):
        expected = np.asarray(batch.frames)[:, frame].reshape(4, 32, 32, 3)
        assert images.dtype == jnp.float32 and images.max() > 250
        np.testing.assert_array_equal(images, expected)


def test_the_defaults_are_the_papers_and_its_lineages():
    """The choices for what the paper leaves open."""
    model = JMPose(backbone={"width": 48})
    expected = dict(
        num_joints=15, channels=48, backbone_trainable=False, aggregation="rsb", motion="flow", flow_source="raft",
        flow_pairs="consecutive", flow_network=None, flow_iterations=20, offset_groups=12, context_blocks=1,
        offset_blocks=1, sampling_dilation=1, mask_activation="sigmoid", interaction_blocks=1, attention="channel",
        heads=1, qkv="independent", qkv_kernel=3, gate="conv", fusion_blocks=3, head="paper", head_blocks=0,
        kernel_init="lineage",
    )  # fmt: skip
    assert {name: getattr(model, name) for name in expected} == expected


def _gradients(options, random_variables):
    model, batch = _variant(options)

    def total(params, variables, batch):
        output, _ = _apply(model, variables | {"params": params}, batch, train=True)
        terms = losses.compute(output, batch, sigma=1.5, target="exact")
        return sum(s / c for s, c in terms.values())

    variables = random_variables(model, batch)
    gradient = jax.jit(jax.grad(total), compiler_options=QUICK)(variables["params"], variables, batch)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))
    moved = {k for k, tree in gradient.items() if any(bool(g.any()) for g in jax.tree.leaves(tree))}
    frozen = {"flow_network"} if options.get("backbone_trainable") else {"flow_network", "backbone"}
    # Without JMML nothing after the deformable convolution reads M_t, but the convolution itself does.
    assert moved == set(gradient) - frozen


# The paper's head is compiled for half a minute; the slow test below runs it with every other variant.
COMBINATIONS = ["without JMIB"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_gradients_are_finite_and_reach_all_but_the_frozen_parts(name, random_variables):
    extra = {
        "feature differences": {"backbone_trainable": True, "num_layers": 1, "head_blocks": 1},
        "spatial attention, heads": {"num_layers": 1},
        "without JMIB": {"mask_activation": "none", "use_cjl": False},
    }
    _gradients(VARIANTS[name] | extra[name], random_variables)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in COMBINATIONS])
def test_gradients_of_every_other_variant(name, random_variables):
    _gradients(VARIANTS[name], random_variables)


def test_frozen_parts_keep_their_statistics(tiny):
    model, variables, batch = tiny
    _, updated = jax.jit(lambda v, b: _apply(model, v, b, train=True), compiler_options=QUICK)(variables, batch)
    before, after = variables["batch_stats"], updated["batch_stats"]
    same = jax.tree.map(lambda a, b: bool((a == b).all()), before["backbone"], after["backbone"])
    assert all(jax.tree.leaves(same))
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before["motion_encoder"], after["motion_encoder"])
    assert all(jax.tree.leaves(changed))


def test_it_learns_and_the_predictors_learn_from_their_own_loss_only(tiny):
    model, variables, batch = tiny
    optimizer = optax.adamw(3e-3)
    params = variables["params"]
    state = TrainState(jnp.int32(0), params, variables["batch_stats"], optimizer.init(params))
    loss = functools.partial(losses.compute, sigma=1.5, target="exact")
    step = jax.jit(make_train_step(model, optimizer, loss), compiler_options=QUICK)

    def weights(**values):
        names = ("heatmap", "relevancy", "complement", "redundancy", "predictor_fit")
        return {name: jnp.float32(values.get(name, 0.0)) for name in names}

    def moved(**values):
        """What one step moves; AdamW's first moment of a parameter stays zero where the gradient is."""
        moments = step(state, batch, weights(**values))[0].opt_state[0].mu
        return {k for k, v in moments.items() if any(bool(m.any()) for m in jax.tree.leaves(v))}

    assert moved(predictor_fit=1.0) == {"predictors1", "predictors2"}
    for name in ("relevancy", "complement", "redundancy"):
        by_term = moved(**{name: 1.0})
        assert "mutual_learning" in by_term and not by_term & {"predictors1", "predictors2", "head", "fusion"}, name

    together = weights(heatmap=1.0, relevancy=0.05, complement=0.05, redundancy=0.05, predictor_fit=1.0)
    history = []
    for _ in range(40):
        state, metrics = step(state, batch, together)
        history.append({name: float(value) for name, value in metrics.items()})
    for name in ("heatmap", "complement", "predictor_fit"):
        first, last = (history[i][f"loss/{name}"] for i in (0, -1))
        assert last < 0.9 * first, (name, first, last)


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({"flow_pairs": "consecutive"}, {}, "support_to_key"),
        ({"flow_pairs": "backwards"}, {}, "backwards"),
        ({"head": "mlp"}, {}, "mlp"),
        ({"motion": "events"}, {}, "events"),
        ({"flow_source": "gma"}, {}, "gma"),
        ({"gate": "open"}, {}, "open"),
        ({"attention": "axial"}, {}, "axial"),
        ({"mask_activation": "tanh"}, {}, "tanh"),
        ({"aggregation": "median"}, {}, "median"),
        ({"kernel_init": "xavier"}, {}, "xavier"),
        ({"qkv": "tied"}, {}, "tied"),
        ({"context_blocks": 0}, {}, "context_blocks=0"),
        ({"num_joints": 4}, {}, "backbone has num_joints=3"),
        ({"num_layers": 0}, {}, "num_layers=0"),
        ({"offset_groups": 3}, {}, "offset_groups=3"),
        ({"delta": 2}, {}, "5 frames"),
        ({}, {"flow": None}, "no flow"),
        ({}, {"flow": jnp.zeros((2, 3, 8, 8, 2))}, "2, 3, 8, 8, 2"),
        ({"alignment": "none"}, {"flow": jnp.zeros((2, 2, 24, 24, 2))}, "24 x 24"),
    ],
)
def test_contradictions_are_named(options, change, words):
    model = JMPose(**TINY | options)
    with pytest.raises(InputError, match=words):
        jax.eval_shape(model.init, jax.random.key(0), _batch().replace(**change))

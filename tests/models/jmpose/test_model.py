"""JM-Pose: the paper's sizes by parameter count, every option by name, frozen parts, and that it learns."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jmpose_jax import losses
from jmpose_jax.errors import InputError
from jmpose_jax.models import JMPose
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import make_train_step

BACKBONE = {
    "width": 4,
    "stem_features": (4, 4),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}
TINY = {
    "backbone": BACKBONE,
    "flow_network": None,
    "heatmap_aggregation": {"method": "residual", "alignment": "joint_flow"},
    "motion_encoder": {"num_blocks": 1, "offset_groups": 2},
    "context_aware_joint_learner": {"offset_groups": 2},
    "mutual_learning": {"num_layers": 2, "qkv_kernel": 1, "gate": "conv1x1"},
    "fusion": {"num_blocks": 1},
    "head": {"residual": True},
    "channels": 4,
}


def _options(changes):
    """TINY with some options changed: a mapping changes what it names of a part."""
    changed = dict(TINY)
    for name, value in changes.items():
        old = changed.get(name)
        changed[name] = {**old, **value} if isinstance(value, dict) and old else value
    return changed


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
        flow_pairs="support_to_key",
    )


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _paper(**options):
    """Parameters and output of the paper's sizes, by shape only."""
    model = JMPose(**{"backbone": {"width": 48}} | options)
    shapes = jax.ShapeDtypeStruct
    batch = jax.eval_shape(lambda: _batch((384, 288), 5, 15, 1, 1))
    batch = batch.replace(flow=None) if model.flow_network is not None else batch
    key = shapes((), jax.random.key(0).dtype)
    output, variables = jax.eval_shape(model.init_with_output, key, batch)
    return output, variables["params"]


@pytest.mark.slow
def test_parameters_of_the_papers_sizes():
    """HRNet-W48, 384 x 288, delta 2, L 4, C 48: every module by its count."""
    output, params = _paper(mutual_learning={"qkv_kernel": 1, "gate": "literal"}, flow_network=None)
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
    np.testing.assert_allclose(output.heatmaps, output.aggregated, atol=1e-6)
    assert output.heatmaps.shape == (2, 8, 8, 3) and output.initial_heatmaps.shape == (2, 3, 8, 8, 3)
    assert output.motion.shape == output.joint.shape and output.flow is not None
    assert len(output.layers) == len(output.predictions) == 2


VARIANTS = {
    "paper head, rsb": {"head": {"residual": False}, "heatmap_aggregation": {"method": "rsb", "alignment": "none"}},
    "conv aggregation, conv gate, wide sampling": {
        "heatmap_aggregation": {"method": "conv"},
        "context_aware_joint_learner": {"dilation": 3},
        "mutual_learning": {"gate": "conv", "qkv_kernel": 3},
    },
    "fixed aggregation, literal gate, raw masks": {
        "heatmap_aggregation": {"method": "fixed"},
        "context_aware_joint_learner": {"mask_activation": "none"},
        "mutual_learning": {"gate": "literal"},
    },
    "1x1 aggregation, spatial attention, heads": {
        "heatmap_aggregation": {"method": "conv1x1"},
        "mutual_learning": {"attention": "spatial", "heads": 2},
    },
    "inverse distances, full attention": {
        "heatmap_aggregation": {"method": "inverse_distance", "alignment": "none"},
        "mutual_learning": {"attention": "spatial_full"},
    },
    "shared queries, more blocks": {
        "mutual_learning": {"qkv": "shared", "blocks": 2},
        "context_aware_joint_learner": {"context_blocks": 2, "offset_blocks": 0},
    },
    "no flow": {"motion_encoder": {"kind": "zero_flow"}, "heatmap_aggregation": {"alignment": "joint_trajectory"}},
    "without CJL": {"context_aware_joint_learner": {"kind": "projection"}},
    "without JMML": {"mutual_learning": {"kind": "none"}},
    "without JMIB": {"mutual_learning": {"kind": "identity"}},
    "without predictors": {"predictors": None},
    "feature differences": {
        "motion_encoder": {"kind": "feature_difference"},
        "heatmap_aggregation": {"alignment": "none"},
    },
    "last feature differences": {
        "motion_encoder": {"kind": "feature_difference", "compared": "last"},
        "heatmap_aggregation": {"alignment": "none"},
    },
    "head blocks, lineage initialisation": {"head": {"num_blocks": 1, "residual": False}, "kernel_init": "lineage"},
    "trainable backbone": {"backbone_trainable": True},
    "small RAFT": {"flow_network": {"size": "small", "iterations": 1}},
    "SimpleBaseline": {"backbone": {"kind": "simple_baseline", "depth": 50}},
}
WITHOUT_FLOW = ("no flow", "feature differences", "last feature differences")


def _variant(options):
    options = _options(options)
    if options["backbone"].get("kind"):
        options["backbone"] = {k: v for k, v in options["backbone"].items() if k in ("kind", "depth")}
    large = options["flow_network"] is not None or "kind" in options["backbone"]
    return JMPose(**options), _batch((64, 64) if large else (32, 32))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_builds_what_it_says(name):
    model, batch = _variant(VARIANTS[name])
    if name in WITHOUT_FLOW or name == "small RAFT":
        batch = batch.replace(flow=None)
    output, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), batch)
    params = variables["params"]
    assert output.heatmaps.shape == output.aggregated.shape
    assert ("sampling" in params["context_aware_joint_learner"]) == (name != "without CJL")
    assert (output.flow is None) == (name in WITHOUT_FLOW)
    assert ("mutual_learning" in params) == (name not in ("without JMML", "without JMIB"))
    assert ("fusion" in params) == (name != "without JMML")
    assert ("flow_network" in params) == (name == "small RAFT")
    layers = {"without JMML": 0, "without JMIB": 1}.get(name, 2)
    assert len(output.layers) == layers
    predictors = 0 if name == "without predictors" else layers
    assert len(output.predictions) == len([k for k in params if k.startswith("predictors")]) == predictors


def test_the_defaults_are_the_papers_and_its_lineages():
    """The choices for what the paper leaves open: 3x3 queries, keys and values, the convolutional gate, RAFT inside."""
    made = {}

    def note(call, args, kwargs, context):
        made.setdefault(type(context.module).__name__, context.module)
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        _, params = _paper()
    assert _count(params["flow_network"]) == 5_257_536
    assert _count(params["mutual_learning"]) == 851_328 + 4 * 404_640
    trainable = {name: tree for name, tree in params.items() if name not in ("backbone", "flow_network")}
    assert _count(trainable) == 3_226_794
    expected = {
        "JMPose": dict(channels=48, backbone_trainable=False, kernel_init="lineage"),
        "RAFT": dict(size="basic", iterations=20),
        "HeatmapAggregation": dict(method="rsb", alignment="none"),
        "FlowEncoder": dict(num_blocks=4, features=48),
        "ContextAwareJointLearner": dict(
            offset_groups=12, context_blocks=1, offset_blocks=1, dilation=1, mask_activation="sigmoid"
        ),
        "MutualLearning": dict(
            num_layers=4, blocks=1, attention="channel", heads=1, qkv="independent", qkv_kernel=3, gate="conv"
        ),
        "Fusion": dict(num_blocks=3),
        "DetectionHead": dict(residual=False, num_blocks=0),
    }
    found = {name: {key: getattr(made[name], key) for key in values} for name, values in expected.items()}
    assert found == expected


def _gradients(options, random_variables):
    model, batch = _variant(options)

    def total(params, variables, batch):
        output, _ = _apply(model, variables | {"params": params}, batch, train=True)
        terms = losses.JMPoseObjective(sigma=1.5, target="exact")(output, batch)
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
        "without JMIB": {"context_aware_joint_learner": {"kind": "projection"}},
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
    loss = losses.JMPoseObjective(sigma=1.5, target="exact")
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
        ({}, {"flow_pairs": "consecutive"}, "support_to_key"),
        ({"heatmap_aggregation": {"alignment": "none"}}, {"flow_pairs": "backwards"}, "backwards"),
        ({"motion_encoder": {"kind": "events"}}, {}, "motion_encoder.kind='events'"),
        ({"motion_encoder": {"kind": "feature_difference", "compared": "first"}}, {}, "compared='first'"),
        ({"mutual_learning": {"gate": "open"}}, {}, "open"),
        ({"mutual_learning": {"gat": "conv"}}, {}, "mutual_learning.gat is no option; did you mean 'gate'"),
        ({"mutual_learning": {"attention": "axial"}}, {}, "axial"),
        ({"context_aware_joint_learner": {"mask_activation": "tanh"}}, {}, "tanh"),
        ({"heatmap_aggregation": {"method": "median"}}, {}, "median"),
        ({"heatmap_aggregation": {"alignment": "optical"}}, {}, "optical"),
        ({"kernel_init": "xavier"}, {}, "xavier"),
        ({"mutual_learning": {"qkv": "tied"}}, {}, "tied"),
        ({"context_aware_joint_learner": {"context_blocks": 0}}, {}, "context_blocks=0"),
        ({"fusion": {"num_blocks": 0}}, {}, "fusion.num_blocks=0"),
        ({"mutual_learning": {"blocks": 0}}, {}, "blocks=0"),
        ({"context_aware_joint_learner": {"dilation": 0}}, {}, "dilation=0"),
        ({"backbone": {"num_joints": 4}}, {}, "backbone.num_joints=4, but the batch has 3"),
        ({"backbone": {"kind": "vgg"}}, {}, "backbone.kind='vgg'"),
        ({"mutual_learning": {"num_layers": 0}}, {}, "num_layers=0"),
        ({"context_aware_joint_learner": {"offset_groups": 3}}, {}, "offset_groups=3"),
        ({}, {"frames": jnp.zeros((2, 4, 32, 32, 3), jnp.uint8)}, "has 4"),
        ({}, {"frames": jnp.zeros((2, 1, 32, 32, 3), jnp.uint8)}, "has 1"),
        ({}, {"flow": None}, "none"),
        ({}, {"flow": jnp.zeros((2, 3, 8, 8, 2))}, "2, 3, 8, 8, 2"),
        ({"heatmap_aggregation": {"alignment": "none"}}, {"flow": jnp.zeros((2, 2, 24, 24, 2))}, "24 x 24"),
    ],
)
def test_contradictions_are_named(options, change, words):
    model = JMPose(**_options(options))
    with pytest.raises(InputError, match=words):
        jax.eval_shape(model.init, jax.random.key(0), _batch().replace(**change))

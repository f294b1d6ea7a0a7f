"""TIPSD: shapes, which part each loss term trains and which it leaves alone, test time without the synthesizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax import losses
from jmpose_jax.errors import InputError
from jmpose_jax.models import TIPSD
from jmpose_jax.records import ClipBatch

OPTIONS = {
    "backbone": {
        "width": 4,
        "stem_features": (4, 4),
        "stem_block": "basic",
        "stem_blocks": 1,
        "stage_modules": (1,),
        "blocks_per_branch": 1,
    },
    "joints": ("left_elbow", "left_wrist", "nose"),
    "synthesizer": {"num_blocks": 1},
    "part_features": {"num_blocks": 1},
    "fusion_blocks": 1,
    "kernel_init": "fan_in",
}


def _batch(count=2, length=3, joints=3):
    rng = np.random.default_rng(0)
    return ClipBatch(
        frames=rng.integers(0, 256, (count, length, 32, 32, 3)).astype(np.uint8),
        keypoints=rng.uniform(4, 28, (count, joints, 2)).astype(np.float32),
        joint_weights=np.ones((count, joints), np.float32),
        transform=np.zeros((count, 2, 3), np.float32),
        box_score=np.ones(count, np.float32),
        index=np.arange(count, dtype=np.int32),
        valid=np.ones(count, np.float32),
    )


@pytest.fixture(scope="module")
def world(random_variables):
    """Model, variables, a batch, and the gradients of every loss term from one compiled function."""
    model, batch, objective = TIPSD(**OPTIONS), _batch(), losses.TIPSDObjective(sigma=1.5)
    variables = random_variables(model, batch)

    @jax.jit
    def gradients(variables, weights, batch):
        def total(params):
            output, _ = model.apply({**variables, "params": params}, batch, train=True, mutable=["batch_stats"])
            terms = {name: value / count for name, (value, count) in objective(output, batch).items()}
            return sum(weights[name] * value for name, value in terms.items()), (terms, output)

        return jax.grad(total, has_aux=True)(variables["params"])

    def of(*names, of_batch=batch):
        weights = {name: np.float32(name in names) for name in objective.TERMS}
        return gradients(variables, weights, of_batch)

    return model, variables, batch, of


def _trained(gradient):
    """The parts that a gradient reaches."""
    return {name for name, tree in gradient.items() if any(np.any(leaf) for leaf in jax.tree.leaves(tree))}


def test_shapes_terms_and_what_they_train(world):
    model, _, batch, of = world
    gradient, (terms, output) = of("heatmap")
    assert output.heatmaps.shape == (2, 8, 8, 3) and output.initial_heatmaps.shape == (2, 3, 8, 8, 3)
    assert output.interim.shape == output.backward.shape == (2, 2, 8, 8, 3) and output.skipped.shape == (2, 8, 8, 3)
    assert output.parts.shape == (2, 2, 8, 8, 4) and output.predictions.groups == ((2,), (0, 1))  # head, left_arm
    assert terms.keys() == set(losses.TIPSDObjective.TERMS) and all(np.isfinite(v) for v in terms.values())
    features = {"synthesizer", "interim_features", "part_features"}
    assert _trained(gradient) == {*features, "fusion", "head"}
    for name in ("com", "var", "red"):
        assert _trained(of(name)[0]) == features, name
    assert _trained(of("predictor_fit")[0]) == {"predictors"}
    for name in ("synthesis", "consistency"):
        assert _trained(of(name)[0]) == {"synthesizer"}, name


def test_a_clip_without_labels_teaches_no_synthesis(world):
    *_, batch, of = world
    unlabelled = batch.replace(joint_weights=np.zeros_like(batch.joint_weights))
    gradient, (terms, _) = of("synthesis", of_batch=unlabelled)
    assert terms["synthesis"] == 0 and _trained(gradient) == set()


def test_evaluation_without_the_synthesizer(world):
    """Its straight blends take the place of the interim maps; the variables are the same ones."""
    model, variables, batch, _ = world
    whole, without = (model.clone(interim_at_test=name) for name in ("as_trained", "blend"))
    shapes = [jax.eval_shape(m.init, jax.random.key(0), batch) for m in (whole, without)]
    assert jax.tree.structure(shapes[0]) == jax.tree.structure(shapes[1])
    found = [jax.jit(m.apply)(variables, batch) for m in (whole, without)]
    first, second = (found[1].initial_heatmaps[:, part] for part in (slice(0, 2), slice(1, 3)))
    np.testing.assert_allclose(found[1].interim, (first + second) / 2, atol=1e-6)
    assert all(output.skipped is None and output.backward is None for output in found)
    assert np.abs(found[0].interim - found[1].interim).max() > 1e-3
    assert np.abs(found[0].heatmaps - found[1].heatmaps).max() > 0


@pytest.mark.parametrize(
    ("options", "batch", "message"),
    [
        ({}, _batch(length=5), "clips of 3 frames, the batch has 5: set dataset.delta=1"),
        ({"interim": "linear"}, _batch(), "model.interim='linear'"),
        ({"part_groups": {"leg": ("left_knee",)}}, _batch(), "part_groups.leg: the skeleton lacks .*'left_knee'"),
        ({"joints": (), "skeleton": "coco17"}, _batch(), "has 17 joints, the batch has 3"),
        ({"synthesizer": {"samplin": "ends"}}, _batch(), "synthesizer.samplin is no option; did you mean 'sampling'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(options, batch, message):
    with pytest.raises(InputError, match=message) as fault:
        jax.eval_shape(TIPSD(**OPTIONS | options).init, jax.random.key(0), batch)
    assert "\n" not in str(fault.value)


def test_three_frames_alone_and_straight_blends_have_no_synthesizer():
    for interim in ("none", "blend"):
        model = TIPSD(**OPTIONS | {"interim": interim, "predictors": None})
        key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
        output, variables = jax.eval_shape(lambda k, b, m=model: m.init_with_output(k, b, train=True), key, _batch())
        assert "synthesizer" not in variables["params"] and "predictors" not in variables["params"]
        assert (output.interim is None) == (interim == "none") and output.skipped is None


@pytest.mark.slow
def test_the_papers_sizes():
    """HRNet-W48 on 384 x 288, by shape only."""
    shape = jax.ShapeDtypeStruct
    batch = ClipBatch.spec(1, delta=1, input_size=(384, 288), num_joints=15)
    key = shape((), jax.random.key(0).dtype)
    output, variables = jax.eval_shape(TIPSD(backbone={"width": 48}).init_with_output, key, batch)
    assert output.heatmaps.shape == (1, 96, 72, 15) and output.parts.shape == (5, 1, 96, 72, 48)
    own = {name: tree for name, tree in variables["params"].items() if name != "backbone"}
    assert set(own) == {"synthesizer", "interim_features", "part_features", "fusion", "head", "predictors"}
    assert jax.tree.leaves(own["part_features"])[0].shape[0] == 5
    assert jnp.result_type(output.heatmaps) == jnp.float32

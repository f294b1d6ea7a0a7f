"""Loss terms as (sum, count): the lineage's numbers, padding, and what a model's output allows."""

import functools
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax import losses
from jmpose_jax.information import DEFAULT_ESTIMATORS, TERMS, LayerPredictions, PredictorLogits
from jmpose_jax.ops.heatmaps import encode
from jmpose_jax.records import ClipBatch, JMPoseOutput


def _compute(output, batch, **options):
    objective = losses.JMPoseObjective(**options)
    return jax.jit(lambda output, batch: objective(output, batch))(output, batch)


def test_heatmap_loss_equals_the_lineage(shared):
    folder = shared / "golden"
    with np.load(folder / "public" / "post_target.npz") as z:
        values = {k: z[k] for k in z.files}
    meta = json.loads((folder / "public" / "post_target.json").read_text())["outputs"]
    sys.path.insert(0, str(folder))
    try:
        import deterministic_weights
    finally:
        sys.path.remove(str(folder))
    noise = deterministic_weights.normal(1, "post:mse_noise", (6, 17, 96, 72))
    joints, visible = values["in_joints"][:6, :, :2], values["in_joints_vis"][:6, :, 0]
    draw = jax.jit(functools.partial(encode, heatmap_size=(96, 72), sigma=3))
    target, weights = (np.asarray(a) for a in draw(joints.astype(np.float32), visible.astype(np.float32)))
    heatmaps = target + np.float32(0.1) * np.moveaxis(noise, 1, -1)
    loss = jax.jit(losses.heatmap_loss)
    for name, w in (("mse", weights), ("mse_no_weight", np.ones_like(weights))):
        total, count = loss(heatmaps, target, w, np.ones(6, np.float32))
        np.testing.assert_allclose(total / count, values[name], atol=10 * meta[name]["tol_abs"])


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(0)

    def uniform(*shape):
        return rng.uniform(size=shape).astype(np.float32)

    batch = ClipBatch(
        frames=jnp.zeros((3, 5, 32, 24, 3), jnp.uint8),
        keypoints=2 + 20 * uniform(3, 4, 2),
        joint_weights=jnp.ones((3, 4)).at[0, 1].set(0),
        transform=jnp.zeros((3, 2, 3)),
        box_score=jnp.ones(3),
        index=jnp.arange(3),
        valid=jnp.ones(3),
    )
    joint, motion = uniform(2, 3, 8, 6, 5)
    predictions = LayerPredictions(
        *(PredictorLogits(*uniform(3, 3, 8, 6, 4)) for _ in range(2)), {}, tuple(DEFAULT_ESTIMATORS.items())
    )
    output = JMPoseOutput(
        heatmaps=uniform(3, 8, 6, 4),
        initial_heatmaps=jnp.zeros((3, 5, 8, 6, 4)),
        aggregated=uniform(3, 8, 6, 4),
        flow=None,
        motion=motion,
        joint=joint,
        layers=((joint, motion), (2 * joint, motion)),
        predictions=(predictions, predictions),
    )
    return output, batch


def test_terms_that_apply(example):
    output, batch = example
    terms = _compute(output, batch, sigma=1.5, target="exact")
    assert set(terms) == {"heatmap", *TERMS}
    assert set(_compute(output.replace(predictions=()), batch)) == {"heatmap"}
    for name, (total, count) in terms.items():
        assert total.shape == count.shape == () and total.dtype == jnp.float32 and total > 0, name
    assert terms["heatmap"][1] == 3 * 8 * 6 * 4 and terms["relevancy"][1] == 3


def test_padding_counts_for_nothing(example):
    output, batch = example
    padded = _compute(output, batch.replace(valid=jnp.array([1.0, 1.0, 0.0])))
    whole = _compute(*jax.tree.map(lambda a: a[:2], (output, batch)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), padded, whole)


def test_unannotated_joints_give_no_gradient(example):
    output, batch = example

    def total(heatmaps):
        return losses.HeatmapObjective()(output.replace(heatmaps=heatmaps), batch)["heatmap"][0]

    gradient = jax.jit(jax.grad(total))(output.heatmaps)
    assert not gradient[0, ..., 1].any() and gradient[0, ..., 0].any()


def test_layers_are_summed(example):
    output, batch = example
    both = _compute(output, batch)

    def layer(i):
        part = slice(i, i + 1)
        return _compute(output.replace(layers=output.layers[part], predictions=output.predictions[part]), batch)

    for name in TERMS:
        np.testing.assert_allclose(both[name][0], layer(0)[name][0] + layer(1)[name][0], rtol=1e-5)

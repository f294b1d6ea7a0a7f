"""Loss terms as (sum, count): the lineage's numbers, padding, and what a model's output allows."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax import losses
from jmpose_jax.information import TERMS, InformationPredictors
from jmpose_jax.ops.heatmaps import encode
from jmpose_jax.records import ClipBatch, PoseOutput


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
    target, weights = encode(
        jnp.asarray(joints, jnp.float32), jnp.asarray(visible, jnp.float32), heatmap_size=(96, 72), sigma=3
    )
    heatmaps = target + 0.1 * jnp.moveaxis(jnp.asarray(noise), 1, -1)
    for name, w in (("mse", weights), ("mse_no_weight", jnp.ones_like(weights))):
        total, count = losses.heatmap_loss(heatmaps, target, w, jnp.ones(6))
        np.testing.assert_allclose(total / count, values[name], atol=10 * meta[name]["tol_abs"])


@pytest.fixture(scope="module")
def example():
    keys = jax.random.split(jax.random.key(0), 6)
    batch = ClipBatch(
        frames=jnp.zeros((3, 5, 32, 24, 3), jnp.uint8),
        keypoints=jax.random.uniform(keys[0], (3, 4, 2), minval=2, maxval=22),
        joint_weights=jnp.ones((3, 4)).at[0, 1].set(0),
        transform=jnp.zeros((3, 2, 3)),
        box_score=jnp.ones(3),
        index=jnp.arange(3),
        valid=jnp.ones(3),
    )
    joint, motion = jax.random.normal(keys[1], (2, 3, 8, 6, 5))
    predictors = InformationPredictors(4)
    predictions = predictors.apply(predictors.init(keys[2], joint, motion), joint, motion)
    output = PoseOutput(
        heatmaps=jax.random.uniform(keys[3], (3, 8, 6, 4)),
        initial_heatmaps=jnp.zeros((3, 5, 8, 6, 4)),
        features={
            "aggregated_heatmaps": jax.random.uniform(keys[4], (3, 8, 6, 4)),
            "joint_layers": [joint, 2 * joint],
            "motion_layers": [motion, motion],
            "predictors": [predictions, predictions],
        },
    )
    return output, batch


def test_terms_that_apply(example):
    output, batch = example
    terms = losses.compute(output, batch, sigma=1.5, target="exact")
    assert set(terms) == {"heatmap", *TERMS}
    assert set(losses.compute(output.replace(features={}), batch)) == {"heatmap"}
    for name, (total, count) in terms.items():
        assert total.shape == count.shape == () and total.dtype == jnp.float32 and total > 0, name
    assert terms["heatmap"][1] == 3 * 8 * 6 * 4 and terms["relevancy"][1] == 3


def test_padding_counts_for_nothing(example):
    output, batch = example
    padded = losses.compute(output, batch.replace(valid=jnp.array([1.0, 1.0, 0.0])))
    whole = losses.compute(*jax.tree.map(lambda a: a[:2], (output, batch)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), padded, whole)


def test_unannotated_joints_give_no_gradient(example):
    output, batch = example

    def total(heatmaps):
        return losses.compute(output.replace(heatmaps=heatmaps), batch)["heatmap"][0]

    gradient = jax.grad(total)(output.heatmaps)
    assert not gradient[0, ..., 1].any() and gradient[0, ..., 0].any()


def test_layers_are_summed(example):
    output, batch = example
    both = losses.compute(output, batch)

    def layer(i):
        names = ("joint_layers", "motion_layers", "predictors")
        features = output.features | {name: output.features[name][i : i + 1] for name in names}
        return losses.compute(output.replace(features=features), batch)

    for name in TERMS:
        np.testing.assert_allclose(both[name][0], layer(0)[name][0] + layer(1)[name][0], rtol=1e-5)

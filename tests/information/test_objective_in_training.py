"""Each term of the objective moves its quantity the right way in training, measured by something else than the term."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.core import FrozenDict

from jmpose_jax.information import DEFAULT_ESTIMATORS, INFORMATION_TERMS, InformationPredictors, orthogonality_terms

CLIPS, SIZE, JOINTS, CHANNELS = 6, 8, 3, 4


def _blobs(rng, count):
    """Maps [B, h, w, count] with a peak each."""
    y, x = np.mgrid[:SIZE, :SIZE]
    cx, cy = rng.uniform(0, SIZE - 1, (2, CLIPS, 1, 1, count))
    return np.exp(-0.5 * (np.square(x[..., None] - cx) + np.square(y[..., None] - cy))).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    """Heatmaps, motion features that know a third of them, and sources of which the joint features are a mixture."""
    rng = np.random.default_rng(0)
    heatmaps, elsewhere, noise = _blobs(rng, JOINTS), _blobs(rng, CHANNELS - 1), _blobs(rng, 8)
    motion = 3 * np.concatenate([elsewhere, heatmaps[..., :1]], -1)
    sources = 3 * np.concatenate([heatmaps, elsewhere, noise], -1)
    return heatmaps, motion, sources


def _explained(maps, *features):
    """The share of the variance of maps that a linear map of the features explains."""
    x = np.concatenate([f.reshape(-1, f.shape[-1]) for f in features], -1)
    x = np.concatenate([x, np.ones((len(x), 1))], -1)
    y = maps.reshape(-1, maps.shape[-1])
    return 1 - np.square(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]).sum() / np.square(y - y.mean(0)).sum()


def _overlap(first, second):
    """How much two features look at the same places: the Bhattacharyya coefficient of their maps."""
    p, q = (np.exp(z) / np.exp(z).sum((1, 2), keepdims=True) for z in (first, second))
    return np.sqrt(p * q).sum((1, 2)).mean()


@pytest.fixture(scope="module")
def trained(world):
    """The joint features after minimising (1) and maximising (-1) each term, the predictors being fitted meanwhile."""
    heatmaps, motion, sources = world
    module = InformationPredictors(JOINTS, FrozenDict(DEFAULT_ESTIMATORS), "zeros")
    mixture = 0.4 * np.random.default_rng(1).normal(size=(sources.shape[-1], CHANNELS)).astype(np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), motion, motion)
    fresh = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes)
    optimizer = optax.adam(0.03)

    def objective(params, weights):
        joint = sources @ params["mixture"]
        terms = orthogonality_terms(joint, motion, module.apply(params["predictors"], joint, motion), heatmaps)
        chosen = jnp.stack([terms[name] for name in INFORMATION_TERMS])
        return jnp.sum(weights * chosen) + terms["predictor_fit"]

    def train(weights):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(objective)(params, weights), state)
            return (optax.apply_updates(params, updates), state), None

        params = {"mixture": mixture, "predictors": fresh}
        return jax.lax.scan(step, (params, optimizer.init(params)), None, length=150)[0][0]["mixture"]

    runs = [(name, sign) for name in INFORMATION_TERMS for sign in (1.0, -1.0)]
    weights = np.array([[s * (name == n) for n in INFORMATION_TERMS] for name, s in runs], np.float32)
    return {run: sources @ np.asarray(m) for run, m in zip(runs, jax.jit(lambda w: jax.lax.map(train, w))(weights))}


def test_relevancy_drives_the_features_apart(world, trained):
    _, motion, _ = world
    minimised, maximised = (_overlap(trained["relevancy", sign], motion) for sign in (1.0, -1.0))
    assert minimised < maximised - 0.2, (minimised, maximised)


def test_complement_makes_the_joint_features_know_the_heatmaps(world, trained):
    heatmaps, *_ = world
    minimised, maximised = (_explained(heatmaps, trained["complement", sign]) for sign in (1.0, -1.0))
    assert minimised > maximised + 0.1, (minimised, maximised)


def test_redundancy_takes_from_the_joint_features_what_the_motion_does_not_know(world, trained):
    heatmaps, motion, _ = world
    known = _explained(heatmaps, motion)
    minimised, maximised = (_explained(heatmaps, motion, trained["redundancy", s]) - known for s in (1.0, -1.0))
    assert minimised < maximised - 0.05, (minimised, maximised)

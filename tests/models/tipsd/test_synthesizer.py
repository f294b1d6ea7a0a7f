"""The pose synthesizer: the straight blend where nothing is learned, its inputs at both ends, and bent paths."""

import jax
import numpy as np
import optax
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.tipsd.synthesizer import PoseSynthesizer, straight_blend

HEIGHT, WIDTH, JOINTS, CHANNELS = 10, 12, 2, 3


def _blobs(places):
    """Gaussians around (x, y), [N, K, 2] to maps [N, h, w, K]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    away = [np.square(grid[..., None] - places[:, None, None, :, axis]) for axis, grid in enumerate((x, y))]
    return np.exp(-0.5 * sum(away)).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    """Joints on arcs: a, b, and in the middle half a pixel below the straight line between them; features."""
    rng = np.random.default_rng(0)
    first = rng.uniform(3, 6, (8, JOINTS, 2)).astype(np.float32)
    step = rng.uniform(1, 3, (8, JOINTS, 2)).astype(np.float32)
    middle = first + step / 2 + np.array([0, 0.5], np.float32)
    features = rng.normal(size=(2, 8, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    return _blobs(first), _blobs(first + step), _blobs(middle), features


def _start(path, drawn):
    """Parameters as they are initialised where that says what the synthesizer starts as; the rest as drawn."""
    name = "/".join(entry.key for entry in path)
    if "_offset" in name:
        return np.zeros_like(drawn)
    if drawn.shape == (3, 3, JOINTS, JOINTS) and name.endswith("_kernel"):
        return np.pad(np.eye(JOINTS, dtype=np.float32)[None, None], ((1, 1), (1, 1), (0, 0), (0, 0)))
    return drawn


@pytest.mark.parametrize("sampling", ["blend", "ends"])
def test_identity_ends_and_learning(world, random_variables, sampling):
    first, second, middle, features = world
    synthesizer = PoseSynthesizer(4, num_blocks=1, sampling=sampling)
    inputs = (first, second, *features)

    @jax.jit
    def run(variables, kappa, rate):
        """The maps at κ, and the error at ½ after a step of training at a rate."""

        def error(params):
            made, _ = synthesizer.apply(
                {**variables, "params": params}, *inputs, kappa, train=True, mutable=["batch_stats"]
            )
            return ((made - middle) ** 2).mean(), made

        (value, made), gradient = jax.value_and_grad(error, has_aux=True)(variables["params"])
        return made, value, jax.tree.map(lambda p, g: p - rate * g, variables["params"], gradient), gradient

    shapes = jax.eval_shape(synthesizer.init, jax.random.key(0), *inputs, 0.5)
    drawn = random_variables(synthesizer, *inputs, 0.5)
    starts = jax.tree_util.tree_map_with_path(_start, drawn["params"])
    assert jax.tree.structure(starts) == jax.tree.structure(shapes["params"])
    fresh = {**drawn, "params": starts}
    for kappa in (0.25, 0.5):
        made, *_ = run(fresh, kappa, 0.0)
        np.testing.assert_allclose(made, straight_blend(first, second, kappa), atol=1e-6)
    # Whatever was learned, the ends are the inputs.
    bent, *_ = run(drawn, 0.5, 0.0)
    assert np.abs(bent - straight_blend(first, second, 0.5)).max() > 0.05
    np.testing.assert_allclose(run(drawn, 0.0, 0.0)[0], first, atol=1e-6)
    np.testing.assert_allclose(run(drawn, 1.0, 0.0)[0], second, atol=1e-6)
    # Offsets are learned from the start: the straight blend is left for where the joints really were.
    assert np.isfinite(optax.global_norm(run(fresh, 0.5, 0.0)[3]))
    params, before = starts, float(run(fresh, 0.5, 0.0)[1])
    for _ in range(30):
        params = run({**fresh, "params": params}, 0.5, 3.0)[2]
    assert run({**fresh, "params": params}, 0.5, 0.0)[1] < 0.8 * before


def test_an_unknown_sampling_is_named(world):
    first, second, _, features = world
    with pytest.raises(InputError, match="synthesizer.sampling='line'"):
        PoseSynthesizer(4, sampling="line").init(jax.random.key(0), first, second, *features, 0.5)

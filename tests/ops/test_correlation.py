import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.correlation import bilinear_upsample, convex_upsample, correlation_pyramid, lookup

RNG = np.random.default_rng(0)
FMAP1 = RNG.standard_normal((2, 5, 6, 8)).astype(np.float32)
FMAP2 = RNG.standard_normal((2, 9, 7, 8)).astype(np.float32)


def sample(image, x, y):
    """Bilinear sample of image [h, w], zero outside, in float64."""
    value = 0.0
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                value += (1 - abs(y - i)) * (1 - abs(x - j)) * image[i, j]
    return value


def test_pyramid_averages_the_scaled_dot_products_and_drops_odd_edges():
    pyramid = correlation_pyramid(FMAP1, FMAP2, 3)
    volume = np.einsum("bijd,bkld->bijkl", FMAP1.astype(float), FMAP2) / np.sqrt(8)
    np.testing.assert_allclose(pyramid[0], volume, atol=1e-5)
    assert [level.shape[3:] for level in pyramid] == [(9, 7), (4, 3), (2, 1)]
    for i, j in np.ndindex(2, 1):
        block = volume[..., 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
        np.testing.assert_allclose(pyramid[2][..., i, j], block.mean((3, 4)), atol=1e-5)


@pytest.mark.parametrize("implementation", ["gather", "hat"])
def test_lookup_equals_bilinear_samples_with_x_as_the_slow_index(implementation):
    radius = 2
    pyramid = correlation_pyramid(FMAP1, FMAP2, 3)
    coords = RNG.uniform(-4, 12, (2, 5, 6, 2)).astype(np.float32)
    coords[0, 0] = np.round(coords[0, 0])  # on pixels
    coords[1, 0, 0] = (1e6, -1e6)
    found = np.asarray(jax.jit(lookup, static_argnums=(2, 3))(pyramid, coords, radius, implementation))
    assert found.shape == (2, 5, 6, 3 * 25)
    for b, i, j in [(0, 0, 1), (0, 2, 3), (1, 0, 0), (1, 4, 5)]:
        x, y = coords[b, i, j].astype(float)
        expected = [
            sample(np.asarray(level[b, i, j], float), x / 2**n + dx, y / 2**n + dy)
            for n, level in enumerate(pyramid)
            for dx in range(-radius, radius + 1)
            for dy in range(-radius, radius + 1)
        ]
        np.testing.assert_allclose(found[b, i, j], expected, atol=1e-5)


def test_both_lookups_have_the_same_gradients():
    coords = jnp.asarray(RNG.uniform(-2, 8, (2, 5, 6, 2)), jnp.float32)
    weights = jnp.asarray(RNG.standard_normal((2, 5, 6, 2 * 9)), jnp.float32)

    def loss(fmap1, coords, implementation):
        return (lookup(correlation_pyramid(fmap1, FMAP2, 2), coords, 1, implementation) * weights).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)), static_argnums=2)
    for a, b in zip(gradient(FMAP1, coords, "gather"), gradient(FMAP1, coords, "hat")):
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert np.abs(a).max() > 0.1


@pytest.mark.parametrize("implementation", ["gather", "hat"])
def test_levels_that_vanish_read_as_zero(implementation):
    pyramid = correlation_pyramid(FMAP1[:, :2, :2], FMAP2[:, :2, :3], 3)
    assert pyramid[2].shape[3:] == (0, 0)
    found = lookup(pyramid, jnp.ones((2, 2, 2, 2)), 1, implementation)
    np.testing.assert_array_equal(found[..., 18:], 0)
    assert np.abs(found[..., :9]).max() > 0


def test_unknown_lookup_is_named():
    with pytest.raises(InputError, match="gather, hat"):
        lookup(correlation_pyramid(FMAP1, FMAP2), jnp.zeros((2, 5, 6, 2)), 1, "texture")


def test_convex_upsampling_equals_its_definition():
    flow = RNG.standard_normal((1, 3, 4, 2)).astype(np.float32)
    mask = RNG.standard_normal((1, 3, 4, 576)).astype(np.float32)
    fine = np.asarray(convex_upsample(flow, mask))
    assert fine.shape == (1, 24, 32, 2)
    padded = np.pad(flow[0], ((1, 1), (1, 1), (0, 0)))
    for y, x, row, column in [(0, 0, 0, 0), (1, 2, 3, 5), (2, 3, 7, 7)]:
        logits = mask[0, y, x].reshape(9, 8, 8)[:, row, column].astype(float)
        weights = np.exp(logits) / np.exp(logits).sum()
        expected = 8 * weights @ padded[y : y + 3, x : x + 3].reshape(9, 2)
        np.testing.assert_allclose(fine[0, 8 * y + row, 8 * x + column], expected, atol=1e-5)


def test_bilinear_upsampling_keeps_the_corners_and_is_linear_between():
    flow = np.stack(np.meshgrid(np.arange(4.0), np.arange(3.0)), axis=-1)[None].astype(np.float32)
    fine = np.asarray(bilinear_upsample(flow))
    assert fine.shape == (1, 24, 32, 2)
    np.testing.assert_allclose(fine[0, 0, :, 0], 8 * np.linspace(0, 3, 32), atol=1e-4)
    np.testing.assert_allclose(fine[0, :, 5, 1], 8 * np.linspace(0, 2, 24), atol=1e-4)


def test_equals_official(shared):
    import importlib.util
    import json

    folder = shared / "golden"
    spec = importlib.util.spec_from_file_location("deterministic_weights", folder / "deterministic_weights.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    outputs = json.loads((folder / "public" / "raft_ops.json").read_text())["outputs"]
    arrays = np.load(folder / "public" / "raft_ops.npz")
    fmap1, fmap2, coords, flow = (
        np.moveaxis(arrays[f"in_{name}"], 1, -1) for name in ("fmap1", "fmap2", "coords", "flow")
    )
    mask = np.moveaxis(generator.normal(1, "raft_ops:mask", (2, 576, 16, 20), 2.0), 1, -1)

    upsampled = jax.jit(lambda flow, mask: (convex_upsample(flow, mask), bilinear_upsample(flow)))(flow, mask)
    pyramid = jax.jit(correlation_pyramid)(fmap1, fmap2)
    found = {f"pyramid_l{i}": level.reshape(640, 1, *level.shape[3:]) for i, level in enumerate(pyramid)}
    channels_last = dict(zip(("convex_up", "upflow8"), upsampled))
    look = jax.jit(lookup, static_argnums=(2, 3))
    for radius in (3, 4):
        gather, hat = (look(pyramid, coords, radius, name) for name in ("gather", "hat"))
        channels_last[f"corr_r{radius}"] = gather
        np.testing.assert_allclose(gather, hat, atol=2e-5)
    found |= {name: jnp.moveaxis(value, -1, 1) for name, value in channels_last.items()}
    assert set(found) == set(outputs)
    for name, value in found.items():
        kept = tuple(slice(None, None, stride) for stride in outputs[name].get("strides", [1] * value.ndim))
        tolerance = outputs[name]["tol_abs"]
        np.testing.assert_allclose(np.asarray(value)[kept], arrays[name], rtol=0, atol=tolerance, err_msg=name)

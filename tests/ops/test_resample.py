"""Translations of maps and the flow that a joint sees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.heatmaps import decode, encode
from jmpose_jax.ops.resample import flow_on_heatmap_grid, peak_mean, translate


def _random(shape):
    return np.random.default_rng(0).uniform(size=shape).astype(np.float32)


def test_whole_pixels_move_exactly_and_zeros_flow_in():
    maps = _random((2, 7, 6, 3))
    moved = jax.jit(translate)(maps, np.broadcast_to(np.float32([2.0, -1.0]), (2, 3, 2)))
    np.testing.assert_allclose(moved[:, :-1, 2:], maps[:, 1:, :-2], atol=1e-6)
    assert not moved[:, -1].any() and not moved[:, :, :2].any()


def test_each_map_moves_by_its_own_fraction_of_a_pixel():
    keypoints = jnp.array([[40.0, 52.0], [60.0, 44.0], [52.0, 48.0]])
    shift = jnp.array([[1.5, -2.25], [0.0, 0.0], [-3.75, 0.5]])

    @jax.jit
    def move(keypoints, shift):
        maps, _ = encode(keypoints, jnp.ones(3), heatmap_size=(28, 26), sigma=2, mode="exact")
        return decode(translate(maps, shift), "dark", 3)[0]

    coordinates = move(keypoints, shift)
    np.testing.assert_allclose(coordinates, keypoints / 4 + shift, atol=0.05)


def test_far_translations_leave_nothing_and_finite_gradients():
    maps = _random((5, 5, 2))
    scalar = jax.jit(jax.value_and_grad(lambda maps, shift: jnp.sum(translate(maps, shift) ** 2), argnums=(0, 1)))
    for distance in (0.0, 0.5, 100.0):
        value, gradients = scalar(maps, np.full((2, 2), distance, np.float32))
        assert all(np.isfinite(g).all() for g in gradients)
        assert (value == 0) == (distance == 100)


def test_peak_mean_reads_the_field_at_the_peak_whatever_its_height():
    keypoints = np.float32([[20.0, 40.0], [72.0, 60.0]])
    encoded = jax.jit(functools.partial(encode, heatmap_size=(24, 24), sigma=1.5, mode="exact"))
    maps = np.asarray(encoded(keypoints, np.ones(2, np.float32))[0])
    y, x = np.meshgrid(np.arange(24, dtype=np.float32), np.arange(24, dtype=np.float32), indexing="ij")
    field = np.stack([x, 2 * y], -1)
    mean = jax.jit(peak_mean)
    for height in (1.0, 1e-3):
        expected = keypoints / 4 * np.float32([1.0, 2.0])
        np.testing.assert_allclose(mean(np.float32(height) * maps - np.float32(1e-6), field), expected, atol=0.1)
    nothing = -np.ones((24, 24, 2), np.float32)
    np.testing.assert_array_equal(mean(nothing, field), 0)
    gradient = jax.jit(jax.grad(lambda m: jnp.sum(peak_mean(m, field))))(nothing)
    assert np.isfinite(gradient).all()


def test_flow_is_averaged_over_heatmap_cells():
    flow = _random((2, 3, 16, 12, 2))
    small = flow_on_heatmap_grid(flow, (4, 3))
    np.testing.assert_allclose(small[1, 2, 3, 1], flow[1, 2, 12:16, 4:8].mean((0, 1)), atol=1e-6)
    assert flow_on_heatmap_grid(flow, (16, 12)) is flow
    for size in ((5, 3), (4, 6)):
        with pytest.raises(InputError, match="16 x 12"):
            flow_on_heatmap_grid(flow, size)

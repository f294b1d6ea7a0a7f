"""Translations of maps and the flow that a joint sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.heatmaps import decode, encode
from jmpose_jax.ops.resample import flow_on_heatmap_grid, peak_mean, translate


def test_whole_pixels_move_exactly_and_zeros_flow_in():
    maps = jax.random.uniform(jax.random.key(0), (2, 7, 6, 3))
    moved = translate(maps, jnp.broadcast_to(jnp.array([2.0, -1.0]), (2, 3, 2)))
    np.testing.assert_allclose(moved[:, :-1, 2:], maps[:, 1:, :-2], atol=1e-6)
    assert not moved[:, -1].any() and not moved[:, :, :2].any()


def test_each_map_moves_by_its_own_fraction_of_a_pixel():
    keypoints = jnp.array([[40.0, 52.0], [60.0, 44.0], [52.0, 48.0]])
    shift = jnp.array([[1.5, -2.25], [0.0, 0.0], [-3.75, 0.5]])
    maps, _ = encode(keypoints, jnp.ones(3), heatmap_size=(28, 26), sigma=2, mode="exact")
    coordinates, _ = decode(translate(maps, shift), "dark", 3)
    np.testing.assert_allclose(coordinates, keypoints / 4 + shift, atol=0.05)


def test_far_translations_leave_nothing_and_finite_gradients():
    maps = jax.random.uniform(jax.random.key(1), (5, 5, 2))

    def scalar(maps, shift):
        return jnp.sum(translate(maps, shift) ** 2)

    assert scalar(maps, jnp.full((2, 2), 100.0)) == 0
    for shift in (jnp.zeros((2, 2)), jnp.full((2, 2), 0.5), jnp.full((2, 2), 100.0)):
        gradients = jax.grad(scalar, argnums=(0, 1))(maps, shift)
        assert all(bool(jnp.isfinite(g).all()) for g in gradients)


def test_peak_mean_reads_the_field_at_the_peak_whatever_its_height():
    keypoints = jnp.array([[20.0, 40.0], [72.0, 60.0]])
    maps, _ = encode(keypoints, jnp.ones(2), heatmap_size=(24, 24), sigma=1.5, mode="exact")
    y, x = jnp.meshgrid(jnp.arange(24.0), jnp.arange(24.0), indexing="ij")
    field = jnp.stack([x, 2 * y], -1)
    for height in (1.0, 1e-3):
        mean = peak_mean(height * maps - 1e-6, field)
        np.testing.assert_allclose(mean, keypoints / 4 * jnp.array([1.0, 2.0]), atol=0.1)
    np.testing.assert_array_equal(peak_mean(-jnp.ones((24, 24, 2)), field), 0)
    gradient = jax.grad(lambda m: jnp.sum(peak_mean(m, field)))(-jnp.ones((24, 24, 2)))
    assert bool(jnp.isfinite(gradient).all())


def test_flow_is_averaged_over_heatmap_cells():
    flow = jax.random.normal(jax.random.key(2), (2, 3, 16, 12, 2))
    small = flow_on_heatmap_grid(flow, (4, 3))
    np.testing.assert_allclose(small[1, 2, 3, 1], flow[1, 2, 12:16, 4:8].mean((0, 1)), atol=1e-6)
    assert flow_on_heatmap_grid(flow, (16, 12)) is flow
    for size in ((5, 3), (4, 6)):
        with pytest.raises(InputError, match="16 x 12"):
            flow_on_heatmap_grid(flow, size)

"""The motion of joints: paths through peaks that are sometimes wrong, flow that is sometimes the occluder's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmpose_jax.models.jmpose.joint_motion import JointMotion, peaks, trajectory
from jmpose_jax.ops.heatmaps import encode

TIME = np.arange(-2, 3, dtype=np.float32)
SIZE = (24, 20)
_trajectory = jax.jit(trajectory)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-2, 2)] * 2), st.tuples(*[st.floats(2, 18)] * 2), st.sampled_from(range(5)))
def test_a_path_is_found_although_one_frame_is_wrong(velocity, origin, wrong):
    places = np.asarray(origin, np.float32) + TIME[:, None] * np.asarray(velocity, np.float32)
    places = places[None, :, None].copy()
    heights = np.ones((1, 5, 1), np.float32)
    slope, residual = _trajectory(places, heights)
    # The pull towards rest takes about PRIOR / Σt² = 0.5 % of the velocity.
    np.testing.assert_allclose(slope[0, 0], velocity, atol=0.02 + 0.01 * np.abs(velocity).max())
    assert (np.asarray(residual) < 0.1).all()
    places[0, wrong] += 12
    heights[0, wrong] = 0.4  # a joint taken for another one seldom peaks as high
    slope, residual = _trajectory(places, heights)
    np.testing.assert_allclose(slope[0, 0], velocity, atol=0.25)
    assert np.asarray(residual)[0, :, 0].argmax() == wrong


def test_a_joint_that_is_never_seen_follows_the_other_measurement():
    velocity = jnp.array([[[1.5, -0.5]]])
    slope, _ = _trajectory(jnp.zeros((1, 5, 1, 2)), jnp.full((1, 5, 1), 1e-3), velocity)
    np.testing.assert_allclose(slope, velocity, rtol=0.06)
    slope, _ = _trajectory(jnp.zeros((1, 5, 1, 2)), jnp.zeros((1, 5, 1)))
    np.testing.assert_array_equal(slope, 0)


def test_peaks_are_where_gaussians_are():
    keypoints = jnp.array([[40.0, 20.0], [33.0, 61.0]])
    maps, _ = encode(keypoints, jnp.ones(2), heatmap_size=SIZE, sigma=1.5, mode="exact")
    places, heights = jax.jit(peaks)(maps[None, None])
    np.testing.assert_allclose(4 * places[0, 0], keypoints, atol=0.1)
    assert (heights > 0.9).all()


@pytest.mark.parametrize("with_flow", [False, True])
def test_displacements_start_at_the_motion_that_both_measurements_see(with_flow):
    velocity = jnp.array([[6.0, 2.0], [-5.0, 4.0]])  # crop pixels a frame
    key = jnp.array([[58.0, 52.0], [18.0, 40.0]])
    draw = functools.partial(encode, heatmap_size=SIZE, sigma=1.5, mode="exact")
    heatmaps = jnp.stack([draw(key + t * velocity, jnp.ones(2))[0] for t in TIME])[None]
    flow = None
    if with_flow:  # each half of the picture moves with its joint
        field = jnp.where((jnp.arange(SIZE[1]) > 9)[:, None], velocity[0], velocity[1])
        flow = jnp.stack([jnp.broadcast_to(-t * field, (*SIZE, 2)) for t in TIME if t])[None]
    module = JointMotion(hidden=8, shared=8)
    moved, variables = jax.jit(module.init_with_output)(jax.random.key(0), heatmaps, flow)
    expected = jnp.stack([-t * velocity / 4 for t in TIME if t])
    np.testing.assert_allclose(moved[0], expected, atol=0.35)
    # No gradient passes to the heatmaps: what a frozen backbone gives is taken as measured.
    gradient = jax.jit(jax.grad(lambda h: module.apply(variables, h, flow).sum()))(heatmaps)
    np.testing.assert_array_equal(gradient, 0)

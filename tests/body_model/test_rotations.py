"""Rotations in three forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jmpose_jax.body_model.rotations import from_axis_angle, from_six, to_axis_angle, to_six

TURNS = Rotation.random(200, random_state=0).as_matrix().astype(np.float32)


def test_six_numbers_there_and_back():
    six = to_six(jnp.asarray(TURNS))
    assert six.shape == (200, 6)
    np.testing.assert_array_equal(six[0], TURNS[0][:, :2].ravel())
    for scaled in (six, 3 * six):
        np.testing.assert_allclose(jax.jit(from_six)(scaled), TURNS, atol=1e-5)


def test_what_is_no_rotation_becomes_one():
    rng = np.random.default_rng(0)
    six = np.concatenate([rng.normal(size=(50, 6)), np.zeros((1, 6)), [[1, 2, 0, 0, 0, 0]], [[0, 0, 1, -2, 0, 0]]])
    found = np.asarray(jax.jit(from_six)(jnp.asarray(six, jnp.float32)))
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), np.tile(np.eye(3), (53, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-5)


def test_parallel_and_nearly_parallel_columns():
    rng = np.random.default_rng(2)
    first = rng.normal(size=(600, 3))
    second = first * (100 * rng.normal(size=(600, 1)))
    second[300:] = first[300:] + 10.0 ** -rng.uniform(2, 8, (300, 1)) * rng.normal(size=(300, 3))
    six = np.concatenate([np.stack([first, second], axis=-1).reshape(600, 6), [[1, 10, 2, 20, 3, 30]]])
    found = np.asarray(jax.jit(from_six)(jnp.asarray(six, jnp.float32)), np.float64)
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), np.tile(np.eye(3), (601, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-6)


@pytest.mark.parametrize("scale", (1e-30, 1e-7, 1e10, 1e20, 1e37))
def test_columns_of_any_length(scale):
    found = jax.jit(from_six)(to_six(jnp.asarray(TURNS)) * np.float32(scale))
    np.testing.assert_allclose(found, TURNS, atol=1e-5)


@jax.jit
def there_and_back(vectors):
    matrices = from_axis_angle(vectors)
    back = to_axis_angle(matrices)
    return matrices, from_axis_angle(back), back


@pytest.mark.parametrize("angle", (0.0, 1e-6, 1e-3, 1.0, 3.1, np.pi))
def test_axis_and_angle_are_scipys(angle):
    axes = np.random.default_rng(1).normal(size=(30, 3))
    vectors = (angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)).astype(np.float32)
    matrices, again, back = there_and_back(jnp.asarray(vectors))
    np.testing.assert_allclose(matrices, Rotation.from_rotvec(vectors).as_matrix(), atol=2e-6)
    np.testing.assert_allclose(again, matrices, atol=2e-5)
    if angle < 3.2 and angle != np.pi:
        np.testing.assert_allclose(back, vectors, atol=3e-3 if angle > 3 else 2e-5)


def test_gradients_are_finite_everywhere():
    slope = jax.jit(jax.grad(lambda v: from_axis_angle(v).sum() + from_six(jnp.concatenate([v, v], -1)).sum()))
    assert np.isfinite(slope(jnp.array([[0.0, 0, 0], [1e-6, 0, 0], [1.0, 2, 3]]))).all()

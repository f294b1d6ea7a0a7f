"""Rotations as matrices, in six dimensions, and as axis and angle; float32, differentiable everywhere."""

import jax
import jax.numpy as jnp

PARALLEL = 1e-5  # sine of the angle between columns, below which float32 knows no direction across them


def to_six(matrices: jax.Array) -> jax.Array:
    """The first two columns of rotation matrices (Zhou et al., CVPR 2019), row by row as SPIN stores them.

    Args:
      matrices: float [..., 3, 3].

    Returns:
      float [..., 6]: (R11, R12, R21, R22, R31, R32).
    """
    return matrices[..., :2].reshape(*matrices.shape[:-2], 6)


def from_six(six: jax.Array) -> jax.Array:
    """The rotation next to six numbers: Gram and Schmidt's steps on two columns, the third is normal to both.

    Args:
      six: float [..., 6] as `to_six` gives them, of any length; filtered or estimated ones need not be rotations.

    Returns:
      float [..., 3, 3], rotations; the unit matrix's columns stand in for columns of length 0, and any axis across the
      first for a second that is parallel to it.
    """
    columns = six.reshape(*six.shape[:-1], 3, 2)
    x = _unit(columns[..., 0], jnp.array([1.0, 0.0, 0.0], six.dtype))
    second = _unit(columns[..., 1], jnp.zeros(3, six.dtype))
    across = jnp.where(jnp.abs(x[..., :1]) < 0.9, jnp.array([1.0, 0, 0], six.dtype), jnp.array([0, 1.0, 0], six.dtype))
    across = _unit(_across(across, x), across)
    rest = _across(second, x)
    parallel = jnp.sum(rest * rest, axis=-1, keepdims=True) < PARALLEL**2
    y = _unit(jnp.where(parallel, across, rest), across)
    # What is left of a nearly parallel column is short: its rounding errors have grown by the division, once more.
    y = _unit(_across(y, x), across)
    return jnp.stack([x, y, jnp.cross(x, y)], axis=-1)


def from_axis_angle(vectors: jax.Array) -> jax.Array:
    """Rodrigues' formula.

    Args:
      vectors: float [..., 3], the axis times the angle in radians.

    Returns:
      float [..., 3, 3].
    """
    square = jnp.sum(vectors * vectors, axis=-1)[..., None, None]
    near = square < 1e-8  # where the quotients are taken from their series
    safe = jnp.where(near, 1.0, square)
    angle = jnp.sqrt(safe)
    sine = jnp.where(near, 1 - square / 6, jnp.sin(angle) / angle)
    versine = jnp.where(near, 0.5 - square / 24, (1 - jnp.cos(angle)) / safe)
    x, y, z = jnp.moveaxis(vectors, -1, 0)
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*vectors.shape[:-1], 3, 3)
    squared = vectors[..., :, None] * vectors[..., None, :] - square * jnp.eye(3, dtype=vectors.dtype)
    return jnp.eye(3, dtype=vectors.dtype) + sine * cross + versine * squared


def to_axis_angle(matrices: jax.Array) -> jax.Array:
    """The axis times the angle, from 0 to π, by the quaternion whose largest entry is read off first.

    Args:
      matrices: float [..., 3, 3], rotations.

    Returns:
      float [..., 3], radians.
    """
    m = matrices
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    squares = jnp.stack([1 + trace, *(1 + 2 * m[..., i, i] - trace for i in range(3))], axis=-1)  # 4 q²
    w, x, y, z = (
        (squares[..., 0], m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]),
        (m[..., 2, 1] - m[..., 1, 2], squares[..., 1], m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0]),
        (m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] + m[..., 0, 1], squares[..., 2], m[..., 2, 1] + m[..., 1, 2]),
        (m[..., 1, 0] - m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2], squares[..., 3]),
    )
    rows = jnp.stack([jnp.stack(row, axis=-1) for row in (w, x, y, z)], axis=-2)  # row i is 4 q_i q
    best = jnp.argmax(squares, axis=-1)[..., None, None]
    quaternion = jnp.take_along_axis(rows, best, axis=-2)[..., 0, :]
    quaternion = quaternion / jnp.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion = jnp.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    vector = quaternion[..., 1:]
    square = jnp.sum(vector * vector, axis=-1, keepdims=True)
    near = square < 1e-12
    sine = jnp.sqrt(jnp.where(near, 1.0, square))
    return vector * jnp.where(near, 2.0, 2 * jnp.arctan2(sine, quaternion[..., :1]) / sine)


def _across(vectors: jax.Array, axis: jax.Array) -> jax.Array:
    """The part of vectors [..., 3] that is normal to an axis [..., 3] of length 1."""
    return vectors - jnp.sum(axis * vectors, axis=-1, keepdims=True) * axis


def _unit(vectors: jax.Array, instead: jax.Array) -> jax.Array:
    """Vectors [..., 3] of length 1, whatever their length; `instead` of those of length 0."""
    # The largest entry first, so that no square is too large or small for a float; it cancels, and so does its slope.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(vectors), axis=-1, keepdims=True))
    none = largest < jnp.finfo(vectors.dtype).tiny
    scaled = jnp.where(none, 1.0, vectors / jnp.where(none, 1.0, largest))
    return jnp.where(none, instead, scaled / jnp.sqrt(jnp.sum(scaled * scaled, axis=-1, keepdims=True)))

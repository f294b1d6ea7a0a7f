"""Stacks of rotation matrices about the coordinate axes."""

import numpy as np


def about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Right-handed rotations about a coordinate axis.

    Args:
      axis: 0, 1 or 2 for x, y, z.
      angle: float [...], radians.

    Returns:
      float [..., 3, 3].
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = cosine
    matrix[..., i, j] = -sine
    matrix[..., j, i] = sine
    return matrix


def from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices of unit quaternions.

    Args:
      quaternion: float [..., 4], (w, x, y, z); normalised here.

    Returns:
      float [..., 3, 3].
    """
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)

"""How much poses jitter: the length of a joint's second difference in time."""

import numpy as np


def accelerations(poses: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """|p(t−1) − 2 p(t) + p(t+1)| of every joint.

    Args:
      poses: float [T, K, D], consecutive frames.
      valid: bool [T, K].

    Returns:
      float64 [T, K], in the unit of the poses per frame²; NaN at the ends and where one of the three is not valid.
    """
    found = np.full(valid.shape, np.nan)
    if len(poses) > 2:
        points = np.asarray(poses, np.float64)
        length = np.linalg.norm(points[:-2] - 2 * points[1:-1] + points[2:], axis=-1)
        found[1:-1] = np.where(valid[:-2] & valid[1:-1] & valid[2:], length, np.nan)
    return found


def mean_of_joints(values: np.ndarray) -> np.ndarray:
    """float64 [T] of [T, K], without what is NaN; NaN where all is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.divide(np.where(known, values, 0).sum(axis=1), count, out=np.full(len(values), np.nan), where=count > 0)

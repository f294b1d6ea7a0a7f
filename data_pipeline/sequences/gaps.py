"""Joints that no estimator gave: gaps, which stand on straight lines where a network wants numbers."""

import numpy as np


def known_joints(poses: np.ndarray) -> np.ndarray:
    """bool [T, K]: the joints all of whose coordinates are finite; `poses` float [T, K, D]."""
    return np.isfinite(poses).all(axis=-1)


def filled(poses: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Poses without gaps, for a network alone: no error is measured on what stands here.

    Args:
      poses: float [T, K, D].
      known: bool [T, K].

    Returns:
      The poses; a gap lies on a straight line between the frames that know its joint, at the ends it stays where it
      was. A joint that no frame knows lies in the middle of the others of its frame, at 0 where there are none.
    """
    if known.all():
        return poses
    whole, frames, seen = np.array(poses), np.arange(len(poses)), known.any(axis=0)
    for joint in np.flatnonzero(seen & ~known.all(axis=0)):
        at = np.flatnonzero(known[:, joint])
        for axis in range(poses.shape[2]):
            whole[:, joint, axis] = np.interp(frames, at, poses[at, joint, axis])
    if not seen.all():
        whole[:, ~seen] = whole[:, seen].mean(axis=1, keepdims=True) if seen.any() else 0.0
    return whole

"""Joints that no estimator gave: short gaps are filled by straight lines; for networks alone all are."""

import numpy as np


def fill_gaps(poses: np.ndarray, valid: np.ndarray, max_gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps of at most `max_gap` frames between two frames that know the joint.

    Nothing is filled before the first or behind the last of them: there is no second point for a line.

    Args:
      poses: float [T, K, D], consecutive frames; what is not valid is not read.
      valid: bool [T, K].
      max_gap: frames; 0 fills nothing.

    Returns:
      (poses, filled): float [T, K, D], NaN where a joint is neither known nor filled, and bool [T, K].
    """
    poses = np.where(valid[..., None], poses, np.nan)
    filled = np.zeros_like(valid)
    for joint in range(valid.shape[1]):
        known = np.flatnonzero(valid[:, joint])
        if max_gap < 1 or len(known) < 2:
            continue
        missing = np.flatnonzero(~valid[:, joint])
        missing = missing[(missing > known[0]) & (missing < known[-1])]
        behind = np.searchsorted(known, missing)
        missing = missing[known[behind] - known[behind - 1] - 1 <= max_gap]
        for axis in range(poses.shape[2]):
            poses[missing, joint, axis] = np.interp(missing, known, poses[known, joint, axis])
        filled[missing, joint] = True
    return poses, filled


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

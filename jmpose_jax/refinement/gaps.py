"""Short gaps of a joint, filled by straight lines; longer ones stay gaps."""

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

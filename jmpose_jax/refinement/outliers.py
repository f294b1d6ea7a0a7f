"""Joints that jump out of their way and back: Hampel's identifier (Hampel, JASA 1974) on each joint beside the person.

The person's own way is taken off first, so that walking hides no jump: from frame to frame the median of what the
joints went. That is ours. A joint that then moves steadily is its own median.
"""

import numpy as np

from jmpose_jax.refinement.coordinates import body_size

HALF = 5  # frames on either side whose median a joint is compared with
SCALE = 1.4826  # of the median absolute deviation of a normal distribution, to its standard deviation
LEAST = 0.02  # of the person's size: nearer to its median nothing is an outlier, however still the joint stands
FEWEST_FRAMES = 5  # known ones around: with fewer nothing is said of a joint
FEWEST_JOINTS = 3  # that go from a frame to the next, so that a wrong one is outvoted; of fewer no way is known
BLOCK = 4096  # frames at once, so that memory does not grow with the sequence


def outliers(poses: np.ndarray, valid: np.ndarray, strength: float) -> np.ndarray:
    """Joints that are farther from the median of the frames around than those frames mostly are.

    Args:
      poses: float [T, K, D], consecutive frames; what is not valid is not read.
      valid: bool [T, K].
      strength: standard deviations, estimated by the median of the distances around; Hampel's is 3.

    Returns:
      bool [T, K], True in valid joints alone.
    """
    points = np.where(valid[..., None], poses, np.nan)
    steps = np.diff(points, axis=0, prepend=points[:1])
    went = np.where((np.isfinite(steps).all(-1).sum(-1) >= FEWEST_JOINTS)[:, None], _median(steps.swapaxes(1, 2)), 0.0)
    points = points - np.cumsum(went, axis=0)[:, None]
    least = LEAST * body_size(poses, valid)
    found = np.zeros(valid.shape, bool)
    for start in range(0, len(points), BLOCK):
        around = _around(points, start)  # [t, K, D, window]
        apart = np.linalg.norm(around - _median(around)[..., None], axis=2)
        limit = np.maximum(strength * SCALE * _median(apart), least)
        enough = np.isfinite(apart).sum(axis=-1) >= FEWEST_FRAMES
        own = np.nan_to_num(apart[..., HALF], nan=-1.0)
        found[start : start + BLOCK] = enough & (own > np.nan_to_num(limit))
    return found


def _around(values: np.ndarray, start: int) -> np.ndarray:
    """The frames [t, K, D, 2 HALF + 1] around each of a block of values [T, K, D]; NaN beyond the ends."""
    stop = min(start + BLOCK, len(values))
    low, high = max(start - HALF, 0), min(stop + HALF, len(values))
    padding = ((HALF - (start - low), HALF - (high - stop)), (0, 0), (0, 0))
    part = np.pad(values[low:high], padding, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(part, 2 * HALF + 1, axis=0)


def _median(values: np.ndarray) -> np.ndarray:
    """The median over the last axis of what is not NaN; NaN where all is."""
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(values).sum(axis=-1)
    places = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[-1] - 1)
    low, high = (np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0] for place in places)
    return (low + high) / 2

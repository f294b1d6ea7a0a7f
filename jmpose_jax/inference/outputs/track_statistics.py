"""How long each identity was seen, how sure its joints are, and how much they jitter."""

import dataclasses

import numpy as np

from jmpose_jax.records import Predictions
from jmpose_jax.refinement.jitter import accelerations, mean_of_joints


@dataclasses.dataclass(frozen=True)
class TrackStatistics:
    """One identity of a video, seen in n frames.

    Attributes:
      track_id: which.
      rows: int64 [n], its poses among those of the record, in the order of time.
      frames: int64 [n], the frame of each.
      jitter: float64 [n], the mean acceleration of its sure joints in pixels/frame²; NaN where the frame before or
        after does not show it, or no joint is sure in all three.
      relative: float64 [n], the same over the height of its box.
    """

    track_id: int
    rows: np.ndarray
    frames: np.ndarray
    jitter: np.ndarray
    relative: np.ndarray


def track_statistics(predictions: Predictions, threshold: float) -> list[TrackStatistics]:
    """Each identity's statistics, those seen longest first.

    The acceleration of a joint is |p(t-1) - 2 p(t) + p(t+1)|.

    Args:
      predictions: the poses of one video; those without an identity, below 0, are left out.
      threshold: least score of a joint that is sure.
    """
    frame = predictions.frame
    found = []
    for track in np.unique(predictions.track_id[predictions.track_id >= 0]).tolist():
        rows = np.flatnonzero(predictions.track_id == track)
        rows = rows[np.argsort(frame[rows], kind="stable")]
        jitter = _acceleration(
            frame[rows], predictions.keypoints[rows].astype(np.float64), predictions.scores[rows] >= threshold
        )
        height = np.maximum(predictions.boxes[rows, 3].astype(np.float64), 1e-6)
        found.append(TrackStatistics(track, rows, frame[rows], jitter, jitter / height))
    return sorted(found, key=lambda track: -len(track.rows))


def _acceleration(frames: np.ndarray, points: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """float64 [n] of points [n, K, 2], NaN where it is not defined."""
    found = accelerations(points, sure)
    follow = np.diff(frames, prepend=frames[:1]) == 1  # the frame before
    found[~(follow & np.append(follow[1:], False))] = np.nan
    return mean_of_joints(found)

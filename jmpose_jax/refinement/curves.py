"""Errors and accelerations frame by frame, as the curves of HANet's supplement, Figure 2."""

import numpy as np

from jmpose_jax.pose_files.records import PoseFile, Track
from jmpose_jax.refinement.jitter import accelerations, mean_of_joints

GAP = 1000  # absent frames behind which a curve ends
Curve = tuple[np.ndarray, np.ndarray]  # frames int64 [n], values float64 [n]; NaN is a gap


def spread(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """A track on consecutive frames: (poses float64 [T, K, D], first frame); NaN where there is nothing.

    Only the longest part without more than `GAP` absent frames is taken.
    """
    cuts = np.flatnonzero(np.diff(track.frames) > GAP) + 1
    rows = max(np.split(np.arange(len(track.frames)), cuts), key=len)
    first = int(track.frames[rows[0]]) if len(rows) else 0
    places = track.frames[rows] - first
    poses = np.full((int(places[-1]) + 1 if len(rows) else 0, *track.poses.shape[1:]), np.nan)
    poses[places] = track.poses[rows]
    return poses, first


def acceleration_curve(track: Track) -> Curve:
    """The mean over joints of |p(t−1) − 2 p(t) + p(t+1)|."""
    poses, first = spread(track)
    return first + np.arange(len(poses)), mean_of_joints(accelerations(poses, np.isfinite(poses).all(axis=-1)))


def error_curves(track: Track, truth: Track, joints: np.ndarray, of_truth: np.ndarray) -> dict[str, Curve]:
    """The distance to the truth, and that of the second differences, in the frames that `spread` shows of the track.

    Args:
      track: estimated poses.
      truth: the true ones, on the same grid of frames.
      joints: int [J] of the track; of_truth: int [J], the same joints of the truth.

    Returns:
      {"error": MPJPE of each frame, "acceleration_error": idem of accelerations}, in the unit of the poses.
    """
    poses, first = spread(track)
    there = (truth.frames >= first) & (truth.frames < first + len(poses))
    true = np.full((len(poses), *truth.poses.shape[1:]), np.nan)
    true[truth.frames[there] - first] = truth.poses[there]
    poses, true, frames = poses[:, joints], true[:, of_truth], first + np.arange(len(poses))
    move = poses - true
    return {
        "error": (frames, mean_of_joints(np.linalg.norm(move, axis=-1))),
        "acceleration_error": (frames, mean_of_joints(accelerations(move, np.isfinite(move).all(axis=-1)))),
    }


def pairs(file: PoseFile, truth: PoseFile) -> tuple[np.ndarray, np.ndarray]:
    """The joints that two files share, by name: int [J] of each."""
    shared = [joint for joint in file.joints if joint in truth.joints]
    return np.array([file.joints.index(j) for j in shared]), np.array([truth.joints.index(j) for j in shared])

"""Errors of 3-D pose sequences: MPJPE, its Procrustes-aligned form, and acceleration error. Units are the input's."""

import numpy as np


def root_relative(poses: np.ndarray, roots: tuple[int, ...]) -> np.ndarray:
    """Poses [T, K, 3] minus the mean of their root joints."""
    return poses - poses[:, list(roots)].mean(axis=1, keepdims=True)


def mpjpe(predicted: np.ndarray, target: np.ndarray) -> float:
    """Mean per joint position error.

    Args:
      predicted, target: float [T, K, D], usually root-relative (`root_relative`). Frames with a NaN on either side are
        left out.

    Returns:
      Mean distance over joints and frames, in the unit of the input; NaN without any frame.
    """
    predicted, target = _finite_frames(predicted, target)
    if not len(target):
        return float("nan")
    return float(np.linalg.norm(predicted - target, axis=-1).mean())


def procrustes(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The predicted poses, each moved by the similarity that brings it closest to its target.

    Args:
      predicted, target: float [T, K, D].

    Returns:
      float64 [T, K, D]: scale · rotation · pose + translation; the rotation is never a reflection.
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    predicted_mean, target_mean = predicted.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    x, y = predicted - predicted_mean, target - target_mean
    u, singular, vt = np.linalg.svd(np.swapaxes(x, 1, 2) @ y)
    sign = np.ones_like(singular)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None, :]) @ vt
    spread = np.sum(x**2, axis=(1, 2))
    scale = np.divide(np.sum(singular * sign, axis=1), spread, out=np.zeros_like(spread), where=spread > 0)
    return scale[:, None, None] * (x @ rotation) + target_mean


def pa_mpjpe(predicted: np.ndarray, target: np.ndarray) -> float:
    """MPJPE after Procrustes alignment of every frame; arguments and unit as in `mpjpe`."""
    predicted, target = _finite_frames(predicted, target)
    if not len(target):
        return float("nan")
    return float(np.linalg.norm(procrustes(predicted, target) - target, axis=-1).mean())


def acceleration_error(predicted: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of the second differences of a sequence, in input units per frame².

    Args:
      predicted, target: float [T, K, D], one sequence; T - 2 values are averaged, those that touch a NaN are left out.

    Returns:
      The mean over joints and inner frames; NaN where T < 3.
    """
    second = [np.diff(np.asarray(poses, np.float64), n=2, axis=0) for poses in (predicted, target)]
    error = np.linalg.norm(second[0] - second[1], axis=-1)
    error = error[np.isfinite(error).all(axis=1)]
    return float(error.mean()) if len(error) else float("nan")


def _finite_frames(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    if predicted.shape != target.shape or predicted.ndim != 3:
        raise ValueError(f"poses must be [T, K, D] on both sides, not {list(predicted.shape)}, {list(target.shape)}")
    finite = np.isfinite(predicted).all(axis=(1, 2)) & np.isfinite(target).all(axis=(1, 2))
    return predicted[finite], target[finite]

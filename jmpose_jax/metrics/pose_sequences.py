"""How far estimated pose sequences are from the true ones: MPJPE, PA-MPJPE, acceleration error and PCK, by joint too.

Equal to the public evaluation of DeciWatch and HANet where every joint is known; where some are not, each figure is the
mean over those that are.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.kinematics import procrustes, root_relative

THRESHOLDS = (0.05, 0.1, 0.2)  # of PCK, shares of a frame's scale
FEWEST_ALIGNED = 3  # joints: fewer fix no similarity


@dataclasses.dataclass(frozen=True)
class Scores:
    """Figures of all sequences.

    Attributes:
      mean: column -> figure, NaN where nothing is known. MPJPE, PA-MPJPE and Accel are in the unit of the poses, Accel
        a frame²; PCK in percent.
      joints: column -> float64 [K], the same of each joint.
      frames: how many frames have a known joint.
    """

    mean: Mapping[str, float]
    joints: Mapping[str, np.ndarray]
    frames: int


def pck_column(threshold: float) -> str:
    """The name of a PCK column, "PCK@.05"."""
    return f"PCK@{threshold:g}".replace("0.", ".")


COLUMNS = ("MPJPE", "PA-MPJPE", "Accel", *(pck_column(threshold) for threshold in THRESHOLDS))


def score_sequences(
    predicted: Sequence[np.ndarray],
    target: Sequence[np.ndarray],
    scales: Sequence[np.ndarray | None] | None = None,
    roots: tuple[int, ...] = (),
) -> Scores:
    """The figures of some sequences.

    Args:
      predicted, target: one float [T, K, D] a sequence; NaN of a joint on either side leaves it out in that frame.
      scales: float [T] a sequence, what PCK's thresholds are shares of; None for the longest side of the box around
        the known true joints.
      roots: joints whose mean is taken off either side first, where both know them; () scores poses where they are.

    Returns:
      MPJPE, PA-MPJPE and Accel are pooled over the frames of all sequences; PCK is the mean over sequences of each
      joint's share within the threshold, and then the mean over joints, so that sequences weigh alike.

    Raises:
      InputError: the sides do not fit together.
    """
    if len(predicted) != len(target) or not len(target):
        raise InputError(f"{len(predicted)} predicted sequences and {len(target)} true ones; give as many, at least 1")
    scales = [None] * len(target) if scales is None else scales
    apart, aligned, bent, hits, frames = [], [], [], [], 0
    for found, truth, scale in zip(predicted, target, scales):
        found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
        if found.shape != truth.shape or truth.ndim != 3:
            raise InputError(f"poses are {list(found.shape)}, the true ones {list(truth.shape)} [T, K, D]")
        if roots:
            found, truth = root_relative(found, roots), root_relative(truth, roots)
        apart.append(np.linalg.norm(found - truth, axis=-1))
        frames += int(np.isfinite(apart[-1]).any(axis=1).sum())
        aligned.append(_aligned(found, truth))
        bent.append(np.linalg.norm(np.diff(found, n=2, axis=0) - np.diff(truth, n=2, axis=0), axis=-1))
        sides = longest_side(truth) if scale is None else np.asarray(scale, np.float64)
        rows = []
        for threshold in THRESHOLDS:
            near = np.where(np.isfinite(apart[-1]), apart[-1] <= threshold * sides[:, None], np.nan)
            rows.append(100 * _mean(near, axis=0))
        hits.append(rows)
    joints = {
        name: _mean(np.concatenate(parts), axis=0)
        for name, parts in (("MPJPE", apart), ("PA-MPJPE", aligned), ("Accel", bent))
    }
    mean = {
        name: float(_mean(np.concatenate(parts).reshape(-1), axis=0))
        for name, parts in (("MPJPE", apart), ("PA-MPJPE", aligned), ("Accel", bent))
    }
    for place, threshold in enumerate(THRESHOLDS):
        table = np.stack([rows[place] for rows in hits])
        joints[pck_column(threshold)] = _mean(table, axis=0)
        mean[pck_column(threshold)] = float(_mean(table.reshape(-1), axis=0))
    return Scores(mean, joints, frames)


def longest_side(poses: np.ndarray) -> np.ndarray:
    """float [T]: the longest side of the box around the known joints of each frame; NaN where none is known."""
    known = np.isfinite(poses).all(axis=-1)[..., None]
    high = np.where(known, poses, -np.inf).max(axis=1)
    low = np.where(known, poses, np.inf).min(axis=1)
    return np.where(known.any(axis=(1, 2)), (high - low).max(axis=-1), np.nan)


def _aligned(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float [T, K]: distances once each frame's pose is brought closest to its target by a similarity."""
    known = np.isfinite(found).all(axis=-1) & np.isfinite(truth).all(axis=-1)
    errors = np.full(known.shape, np.nan)
    whole = known.all(axis=1)
    if whole.any():
        errors[whole] = np.linalg.norm(procrustes(found[whole], truth[whole]) - truth[whole], axis=-1)
    for frame in np.flatnonzero(~whole & (known.sum(axis=1) >= FEWEST_ALIGNED)):
        here = known[frame]
        moved = procrustes(found[frame, here][None], truth[frame, here][None])[0]
        errors[frame, here] = np.linalg.norm(moved - truth[frame, here], axis=-1)
    return errors


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

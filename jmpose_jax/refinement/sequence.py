"""One sequence refined: its short gaps filled, a method applied, and no joint moved farther than allowed."""

import dataclasses
import math
from typing import Protocol

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.gaps import fill_gaps
from jmpose_jax.refinement.outliers import outliers

RATES = (1e-6, 1e6)  # frames a second that there are
LONGEST_GAP = 1000  # frames; a straight line over more is no motion, and each of them takes memory


class Refiner(Protocol):
    """What refines poses: a filter, or a trained network (`refinement.network`).

    Attributes:
      needs_fps: whether it must know the frame rate.
    """

    needs_fps: bool

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float) -> np.ndarray:
        """Refine one sequence of consecutive frames.

        Args:
          poses: float64 [T, K, D]; what is not valid is NaN.
          valid: bool [T, K].
          fps: frames a second; NaN where it is not known and not needed.

        Returns:
          float64 [T, K, D], finite where valid; the rest is not read.
        """


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for every method.

    Attributes:
      max_gap: longest gap, in frames, that is filled; at most `LONGEST_GAP`.
      max_move: farthest that a joint which the input has may be moved, in the input's unit; None sets no bound.
      min_score: joints of a smaller score are taken for missing; 0 takes all that are there.
      reject: joints that jump away by more than so many standard deviations are taken for missing, see `outliers`; None
        rejects none.
    """

    max_gap: int = 5
    max_move: float | None = None
    min_score: float = 0.0
    reject: float | None = None

    def __post_init__(self):
        if not 0 <= self.max_gap <= LONGEST_GAP:
            raise InputError(f"max_gap={self.max_gap}: must be from 0 to {LONGEST_GAP} frames; 0 fills no gap")
        if self.max_move is not None and not (math.isfinite(self.max_move) and self.max_move >= 0):
            raise InputError(f"max_move={self.max_move}: must be a distance from 0; leave it out for no bound")
        if not math.isfinite(self.min_score):
            raise InputError(f"min_score={self.min_score}: must be a score, mostly from 0 to 1")
        if self.reject is not None and not (math.isfinite(self.reject) and self.reject >= 1):
            raise InputError(f"reject={self.reject}: must be at least 1 standard deviation; 3 is usual")


DEFAULTS = Options()


@dataclasses.dataclass(frozen=True)
class RefinedSequence:
    """A refined sequence of T consecutive frames.

    Attributes:
      poses: float64 [T, K, D]; NaN where a joint is still missing.
      filled: bool [T, K], where a gap was filled.
      held: bool [T, K], where `max_move` held a joint back.
      rejected: bool [T, K], outliers; they are filled, or missing.
    """

    poses: np.ndarray
    filled: np.ndarray
    held: np.ndarray
    rejected: np.ndarray


def check_fps(refiner: Refiner, fps: float | None) -> float:
    """The frame rate for a method, NaN where it is not known and not needed.

    Raises:
      InputError: it is needed and not known, or is no rate.
    """
    if fps is None:
        if refiner.needs_fps:
            raise InputError("the frame rate is not known, and this method needs it; give fps")
        return math.nan
    if not RATES[0] <= fps <= RATES[1]:
        raise InputError(f"fps={fps}: must be from {RATES[0]:g} to {RATES[1]:g} frames a second; correct it")
    return float(fps)


def refine_sequence(
    poses: np.ndarray, valid: np.ndarray, fps: float | None, refiner: Refiner, options: Options = DEFAULTS
) -> RefinedSequence:
    """Refine one person's consecutive frames.

    Args:
      poses: float [T, K, D], D 2 or 3.
      valid: bool [T, K]; joints that are not finite are not valid whatever it says.
      fps: frames a second, None where it is not known.
      refiner: the method.
      options: for gaps and moves.

    Raises:
      InputError: the shapes do not fit each other, or the rate is needed and not known.
    """
    poses, valid = np.asarray(poses, np.float64), np.asarray(valid, bool)
    if poses.ndim != 3 or poses.shape[:2] != valid.shape:
        raise InputError(
            f"poses are {list(poses.shape)} and valid {list(valid.shape)}, expected [T, K, D] and [T, K]; correct them"
        )
    fps = check_fps(refiner, fps)
    valid = valid & np.isfinite(poses).all(axis=-1)
    rejected = np.zeros_like(valid) if options.reject is None else outliers(poses, valid, options.reject)
    valid = valid & ~rejected
    whole, filled = fill_gaps(poses, valid, options.max_gap)
    known = valid | filled
    held = np.zeros_like(valid)
    if len(poses) > 1:  # one frame has nothing beside it to be refined by
        found = np.where(known[..., None], refiner(whole, known, fps), np.nan)
        if not np.isfinite(found[known]).all():
            raise InputError("the method gave numbers that are not finite; its checkpoint or its options are at fault")
        whole, held = _hold(whole, found, valid, options.max_move)
    return RefinedSequence(whole, filled, held, rejected)


def _hold(
    before: np.ndarray, after: np.ndarray, valid: np.ndarray, max_move: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Shorten moves that are too long; what was filled was nowhere before."""
    if max_move is None:
        return after, np.zeros_like(valid)
    move = np.where(valid[..., None], after - before, 0.0)
    length = np.linalg.norm(move, axis=-1)
    held = length > max_move
    share = np.divide(max_move, length, out=np.ones_like(length), where=held)
    return np.where(held[..., None], before + share[..., None] * move, after), held

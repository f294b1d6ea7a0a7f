"""What every file of poses is read into: tracks of persons over the frames of one video."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError

ADDED = -1  # the entry of a frame that the file does not have
LARGEST = 1e9  # of a coordinate; what is larger is no place, and its square no number
ALONE = "0"  # the one track of a file that names none


@dataclasses.dataclass(frozen=True)
class Track:
    """One identity in T of the video's frames.

    Attributes:
      name: as the file calls it.
      frames: int64 [T], ascending: places on the file's grid of frames, on which 1 is the distance of neighbours.
      poses: float64 [T, K, D]; NaN where a joint is missing.
      scores: float64 [T, K]; NaN where the file gives none.
      entries: int64 [T], where in the file each pose stands, for its writer; `ADDED` where it does not.
    """

    name: str
    frames: np.ndarray
    poses: np.ndarray
    scores: np.ndarray
    entries: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """bool [T, K]: which joints are there."""
        return np.isfinite(self.poses).all(axis=-1)


@dataclasses.dataclass(frozen=True)
class PoseFile:
    """One file.

    Attributes:
      path: of the file.
      form: of `reader.FORMS`.
      joints: K names.
      dimensions: D.
      tracks: in the order of the file.
      first, step: frame i of the grid is the file's number first + step · i.
      fps: frames of the grid a second, None where the file does not say.
      content: what the form's writer needs.
      notes: what was left as it is, with its count, for the user.
      ids: int64, ascending: of images whose ids are no numbers of frames, by frame of the grid; None of other files.
    """

    path: pathlib.Path
    form: str
    joints: tuple[str, ...]
    dimensions: int
    tracks: tuple[Track, ...]
    first: int = 0
    step: int = 1
    fps: float | None = None
    content: Any = None
    notes: tuple[str, ...] = ()
    ids: np.ndarray | None = None

    def numbers(self, frames: np.ndarray) -> np.ndarray:
        """The numbers (ids of images) that the file gives to frames of its grid; int64, as `frames`."""
        frames = np.asarray(frames, np.int64)
        return self.first + self.step * frames if self.ids is None else self.ids[frames]


def make_track(
    path: Any, name: str, frames: np.ndarray, poses: np.ndarray, scores: np.ndarray, entries: np.ndarray
) -> Track:
    """A track with its frames in the order of time and what is missing as NaN.

    A joint is missing where a coordinate or its score is not finite (a score that is NaN in all joints of the track
    says that there are none), where its score is 0, or where the writer of the file has put it at NaN.

    Args:
      path: for messages.
      name, frames, poses, scores, entries: as in `Track`, in the order of the file.

    Raises:
      InputError: two poses are of one frame, or a coordinate is too large for any unit.
    """
    order = np.argsort(frames, kind="stable")
    frames, poses, scores = np.asarray(frames, np.int64)[order], poses[order], scores[order]
    if len(frames) > 1 and (twice := np.flatnonzero(np.diff(frames) == 0)).size:
        raise InputError(
            f"{path}: identity {name} occurs twice in frame {frames[twice[0]]}; give each person an identity of its own"
        )
    for what, values in (("coordinate", poses), ("score", scores[..., None])):
        if (far := np.abs(np.where(np.isfinite(values), values, 0)) > LARGEST).any():
            t, k, axis = np.argwhere(far)[0]
            raise InputError(
                f"{path}: joint {k} of identity {name} has the {what} {values[t, k, axis]:g} in frame {frames[t]}, "
                "which is none; correct it, or leave it empty"
            )
    missing = ~np.isfinite(poses).all(axis=-1) | (scores == 0)
    if not np.isnan(scores).all():
        missing |= np.isnan(scores)
    poses = np.where(missing[..., None], np.nan, poses)
    return Track(name, frames, poses, scores, np.asarray(entries, np.int64)[order])


def frame_grid(numbers: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The grid of the frames that a file numbers: one that took every n-th frame has no gaps.

    Args:
      numbers: int [N], of all its poses, in any order.

    Returns:
      (frames, first, step): int64 [N], the places on the grid, the number of the first, and the difference of the
      numbers of neighbours.
    """
    numbers = np.asarray(numbers, np.int64)
    if not len(numbers):
        return numbers, 0, 1
    first = int(numbers.min())
    step = max(int(np.gcd.reduce(numbers - first)), 1)
    return (numbers - first) // step, first, step

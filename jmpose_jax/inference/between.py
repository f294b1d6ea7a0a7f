"""Poses that are estimated on every n-th frame alone, and lie on straight lines between those frames (DeciWatch's way).

What is held is the pictures of the frames between, until the next estimated one has its poses.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.windows import Window

MOST = 60  # n: longer ways are no straight lines, and their pictures are held
HELD_BYTES = 256 << 20  # of pictures that wait; above it a batch is run that is not full


class Between:
    """Chooses the frames of one video that are estimated, and gives all of them back.

    Use `chosen` and `filled` once, the first feeding what makes the poses that the second reads; each may run in a
    thread of its own.
    """

    def __init__(
        self,
        every: int,
        lost: Callable[[int], bool] = lambda index: False,
        stop: Callable[[], bool] = lambda: False,
    ):
        """Begin a video.

        Args:
          every: n; frames 0, n, 2n, … are estimated, and the last one.
          lost: whether a frame, by its place, has no picture; the next that has one is estimated in its place.
          stop: asked at the frames between; where it says so, the video ends with the last estimated frame.

        Raises:
          InputError: n is not between 1 and `MOST`.
        """
        if not 1 <= every <= MOST:
            raise InputError(f"estimate_every={every}: must be from 1 to {MOST} frames; give another number")
        self._every, self._lost, self._stop = every, lost, stop
        # Appended to by `chosen` alone, taken from by `filled` alone; what either did to the bytes is its own count.
        self._skipped: collections.deque[tuple[int, np.ndarray]] = collections.deque()
        self._added = self._taken = 0
        self._ended = False

    @property
    def full(self) -> bool:
        """Whether so much is held that no more should wait."""
        return self._added - self._taken > HELD_BYTES

    def chosen(self, windows: Iterable[Window]) -> Iterator[Window]:
        """The windows whose key frames are estimated; nothing lies behind the last of them but lost frames."""
        due, last = 0, []  # the last frame that may have to be estimated as the end, and lost ones behind it
        for window in windows:
            lost = self._every > 1 and self._lost(window.index)
            if window.index >= due and not lost:
                self._skip(last)
                due, last = (window.index // self._every + 1) * self._every, []
                yield window
                continue
            if self._stop():
                return
            if lost:
                last.append(window)
            else:
                self._skip(last)
                last = [window]
        if last and not self._lost(last[0].index):
            yield last.pop(0)
        self._skip(last)
        self._ended = True

    def _skip(self, windows: Iterable[Window]) -> None:
        for window in windows:
            self._added += window.key_frame.nbytes
            self._skipped.append((window.index, window.key_frame))

    def filled(self, estimated: Iterable[FramePoses]) -> Iterator[FramePoses]:
        """All frames in order, those between two estimated ones with the poses of `straight`.

        Args:
          estimated: the chosen frames in their order, with identities. Where it ends before they do, so does this.
        """
        before = None
        for now in estimated:
            while self._skipped and self._skipped[0][0] < now.index:
                index, image = self._skipped.popleft()
                self._taken += image.nbytes
                yield straight(before, now, index, image) if before else _nobody(now, index, image)
            yield now
            before = now
        for index, image in self._skipped if self._ended and before is not None else ():
            yield _nobody(before, index, image)


def straight(before: FramePoses, after: FramePoses, index: int, image: np.ndarray) -> FramePoses:
    """The people of a frame between two others: those who are in both, on straight lines, with the lesser scores.

    Who is in one of the two alone is not there: nobody knows where the way begins or ends.

    Args:
      before, after: the estimated frames.
      index: of the frame between; image: its picture.
    """
    share = np.float32((index - before.index) / max(after.index - before.index, 1))
    ids, rows, others = np.intersect1d(before.track_ids, after.track_ids, return_indices=True)
    order = np.argsort(rows)
    first, second = before.select(rows[order], ids[order]), after.select(others[order], ids[order])
    columns = {
        name: (1 - share) * getattr(first, name) + share * getattr(second, name) for name in ("boxes", "keypoints")
    }
    for name in ("scores", "box_scores", "track_scores"):
        columns[name] = np.minimum(getattr(first, name), getattr(second, name))
    return dataclasses.replace(first, index=index, image=image, estimated=False, **columns)


def _nobody(beside: FramePoses, index: int, image: np.ndarray) -> FramePoses:
    """A lost frame at an end of the video, beside which there is one frame alone."""
    return dataclasses.replace(beside.nobody(), index=index, image=image, estimated=False)

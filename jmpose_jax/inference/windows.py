"""A sliding window over a stream of frames: each key frame with its δ neighbours on both sides, in bounded memory."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Window:
    """A key frame and its neighbours.

    Attributes:
      index: number of the key frame, from 0.
      frames: T = 2δ+1 frames in the order of time, the key frame at index δ.
      offsets: int [T], the distance of each frame from the key frame.
    """

    index: int
    frames: tuple[np.ndarray, ...]
    offsets: tuple[int, ...]

    @property
    def key_frame(self) -> np.ndarray:
        return self.frames[len(self.frames) // 2]


def window_offsets(delta: int, before: int, after: int) -> tuple[int, ...]:
    """Which frames stand in for missing neighbours at the ends of a video, as JM-Pose does.

    Previous frames that exist come first and the key frame fills the rest; the last next frame that exists is
    repeated, or the key frame where there is none.

    Args:
      delta: neighbours on each side.
      before, after: how many frames exist before and after the key frame.

    Returns:
      2δ+1 offsets, e.g. (-1, 0, 0, 1, 2) for δ = 2 on the second frame of a video.
    """
    before, after = min(before, delta), min(after, delta)
    previous = (*range(-before, 0), *[0] * (delta - before))
    following = (*range(1, after + 1), *[after] * (delta - after))
    return (*previous, 0, *following)


def windows(frames: Iterable[np.ndarray], delta: int) -> Iterator[Window]:
    """The window of every frame of a stream.

    A window comes out once its δ next frames have been read, or the stream has ended; at most 2δ+1 frames are held.

    Args:
      frames: images in the order of time; read once.
      delta: neighbours on each side; 0 gives the frames alone.
    """
    held: collections.deque[tuple[int, np.ndarray]] = collections.deque()

    def window(key: int, last: int) -> Window:
        first = held[0][0]
        offsets = window_offsets(delta, key - first, last - key)
        return Window(key, tuple(held[key + offset - first][1] for offset in offsets), offsets)

    last = -1
    for last, frame in enumerate(frames):
        held.append((last, frame))
        key = last - delta
        if key >= 0:
            yield window(key, last)
            if key - delta >= held[0][0]:
                held.popleft()
        del frame
    for key in range(max(last - delta + 1, 0), last + 1):
        yield window(key, last)

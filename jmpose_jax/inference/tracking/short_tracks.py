"""Tracks that are too short get no place in the results: frames wait until it is known of everybody in them."""

import collections
from collections.abc import Iterable, Iterator
from typing import Protocol, Self, TypeVar

import numpy as np

from jmpose_jax.inference.tracking.tracker import Tracker


class People(Protocol):
    """The persons of one frame."""

    track_ids: np.ndarray

    def select(self, rows: np.ndarray, track_ids: np.ndarray) -> Self:
        """Those of bool [N] `rows`, with the identities int64 [M]."""


Frame = TypeVar("Frame", bound=People)


def lasting_people(frames: Iterable[Frame], tracker: Tracker) -> Iterator[Frame]:
    """The frames in order, without the people of short tracks, the others numbered from 0 on as they come.

    A frame waits for at most `min_track_length + patience` others.

    Args:
      frames: with the identities that `tracker` gave; each must have been through it before the next one is asked for.
      tracker: says which tracks last.
    """
    waiting: collections.deque[Frame] = collections.deque()

    def chosen(frame: Frame) -> Frame:
        ids = frame.track_ids.tolist()
        rows = np.array([tracker.lasting[identity] for identity in ids], bool)
        kept = [tracker.numbers.setdefault(identity, len(tracker.numbers)) for identity, row in zip(ids, rows) if row]
        return frame.select(rows, np.array(kept, np.int64))

    for frame in frames:
        waiting.append(frame)
        while waiting and all(identity in tracker.lasting for identity in waiting[0].track_ids.tolist()):
            yield chosen(waiting.popleft())
    tracker.finish()
    while waiting:
        yield chosen(waiting.popleft())

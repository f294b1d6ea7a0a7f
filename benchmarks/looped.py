"""A source that reads another one again and again, as long as is asked for."""

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from jmpose_jax.inference.video.reader import Frame


class Looped:
    """A source of so many frames; numbers and times go on where the other one begins anew. All else is its own."""

    def __init__(self, source: Any, count: int):
        """Choose the length.

        Args:
          source: of `inference.sources`, one that can be read several times.
          count: frames.
        """
        self._source, self._count = source, count
        self.announced_frames = self.expected_frames = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def frames(self) -> Iterator[Frame]:
        """The frames."""
        return itertools.islice(self._endless(), self._count)

    def _endless(self) -> Iterator[Frame]:
        number, began, latest = 0, Fraction(0), Fraction(0)
        while True:
            for frame in self._source.frames():
                latest = began + frame.time
                yield dataclasses.replace(frame, time=latest, number=number)
                number += 1
            began = latest + 1 / self._source.rate

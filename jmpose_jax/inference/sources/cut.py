"""A part of a source: from a frame or second to another, and of those every n-th."""

import dataclasses
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.reader import Frame


@dataclasses.dataclass(frozen=True)
class Bound:
    """A place in a source: a frame's number, or seconds from its beginning.

    Attributes:
      value: from 0.
      seconds: whether it is seconds.
    """

    value: Fraction
    seconds: bool

    def reached(self, number: int, time: Fraction) -> bool:
        """Whether a frame lies here or behind."""
        return (time if self.seconds else number) >= self.value

    def in_frames(self, rate: Fraction) -> int:
        """About which frame that is, at a constant rate."""
        return math.ceil(self.value * rate) if self.seconds else int(self.value)

    def __str__(self) -> str:
        return f"{float(self.value):g}s" if self.seconds else str(self.value)


def parse_bound(text: str, flag: str) -> Bound:
    """`120` is a frame, `12.5s` seconds.

    Raises:
      InputError: it is neither.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s?)", text.strip())
    if not found or (not found[2] and "." in found[1]):
        raise InputError(f"{flag}={text}: give a frame's number, as 120, or seconds, as 12.5s")
    return Bound(Fraction(found[1]), bool(found[2]))


class Cut:
    """A part of a source; its frames keep the numbers and times that they have there.

    Everything else is the source's.
    """

    def __init__(self, source: Any, start: Bound | None = None, end: Bound | None = None, stride: int = 1):
        """Choose the part.

        Args:
          source: of `sources.source`.
          start: its first frame; None takes the first there is.
          end: the frame behind its last; None takes all.
          stride: of those frames every n-th.

        Raises:
          InputError: the part is empty, as far as is known.
        """
        self._source, self._start, self._end, self._stride = source, start, end, stride
        first = start.in_frames(source.rate) if start else 0
        if source.announced_frames and start and first >= source.announced_frames:
            raise InputError(f"--start={start}: {source.name} has {source.announced_frames} frames; start earlier")
        if start and end and start.seconds == end.seconds and end.value <= start.value:
            raise InputError(f"--start={start}, --end={end}: there is no frame between them; end later")
        total = source.expected_frames
        if total:
            last = min(end.in_frames(source.rate), total) if end else total
            self.expected_frames = max(-(-(last - first) // stride), 1)
        else:
            self.expected_frames = 0
        self.rate = source.rate / stride

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def frames(self) -> Iterator[Frame]:
        """The frames of the part.

        Raises:
          InputError: the source has ended before the part begins.
        """
        since, number, ended = None, -1, False
        for number, frame in enumerate(self._source.frames()):
            if self._end and self._end.reached(number, frame.time):
                ended = True
                break
            if self._start and not self._start.reached(number, frame.time):
                continue
            since = number if since is None else since
            if (number - since) % self._stride == 0:
                yield dataclasses.replace(frame, number=number)
        if since is None:
            if self._start and ended:
                raise InputError(f"--start={self._start}, --end={self._end}: there is no frame between them; end later")
            if self._start:
                raise InputError(f"--start={self._start}: {self._source.name} has {number + 1} frames; start earlier")
            raise InputError(f"--end={self._end}: {self._source.name} has no frame before it; end later")

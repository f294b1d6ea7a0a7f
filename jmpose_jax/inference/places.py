"""The place of every picture in a damaged stream: packets that gave no picture keep theirs.

A number that is counted from the pictures which a decoder gives moves with the first one that is lost. Packets, and
their time stamps, tell of the lost ones. Only a stream that shows damage has gaps: in a sound one of variable rate, a
long distance between two pictures is no gap, and some codecs have packets that are not meant to be seen.
"""

import collections
import heapq

MEMORY = 16  # intervals that a constant rate is judged by
ENOUGH = 3  # of them; with fewer the container's rate is taken
RESTART = 32  # periods; time stamps that go back by more begin anew, by less are faulty
MOST_LOST = 1000  # in one gap between packets; more is a fault of the time stamps


class Places:
    """Follows the packets and the pictures of a stream and says how many pictures are lost before each one that came.

    Keys are time stamps in ticks where the container has them in the order of display (`timed`), else the numbers of
    the packets in the order of the file; pictures then come with the number of theirs.
    """

    def __init__(self, timed: bool, period: float, reordered: bool = False):
        """Begin a stream.

        Args:
          timed: whether the keys are time stamps.
          period: ticks between two pictures, by the container's rate.
          reordered: whether pictures are displayed in another order than they are stored in.
        """
        self._timed, self._period = timed, period
        self._late = 2 if reordered else 0
        self._pending: list[int] = []  # of packets whose picture has not come, a heap
        self._failed: set[int] = set()  # of them, where the keys are numbers: those that will not come
        self._intervals: collections.deque[int] = collections.deque(maxlen=MEMORY)
        self._first_key: int | None = None  # of the first packet that can be decoded by itself
        self._last: int | None = None  # the highest of a picture so far
        self.damaged = False

    def packet(self, key: int | None, *, keyframe: bool, discard: bool = False, corrupt: bool = False) -> None:
        """A packet goes to the decoder. Those that no decoder can show, before the first keyframe, have no place."""
        self.damaged |= corrupt
        if key is None or discard:
            return
        if self._first_key is None:
            if not keyframe:
                return
            self._first_key = key
        if key >= self._first_key:
            heapq.heappush(self._pending, key)

    def skipped(self, key: int, *, keyframe: bool) -> None:
        """A packet that the file lists is not in it."""
        self.packet(key, keyframe=keyframe)
        self.failed(key)

    def failed(self, key: int | None) -> None:
        """The decoder refused the packet."""
        self.damaged = True
        if key is not None and key in self._pending:
            self._failed.add(key)

    def picture(self, key: int | None, corrupt: bool = False) -> list[int]:
        """The decoder gave the picture of a packet: the keys of those lost between it and the one before."""
        self.damaged |= corrupt
        if key is None:
            return []
        if not self._timed:
            return self._missed(key)
        lost = self._lost_before(key)
        last = self._last
        if last is None:
            self._last = key
        elif key > last:
            # A key that is taken is a fault of that time stamp: the rate tells where its picture belongs.
            lost = self._with_gaps([last, *sorted({other for other in lost if other > last}), key])
            self._last = key
        elif last - key > RESTART * self._period:
            lost, self._last = [], key
        return lost

    def end(self) -> list[int]:
        """The decoder has given all it had: the keys of those lost after the last picture."""
        left = sorted({key for key in self._pending if self._last is None or key > self._last})
        return left if self.damaged else []

    def _lost_before(self, key: int) -> list[int]:
        lost = []
        while self._pending and self._pending[0] < key:
            lost.append(heapq.heappop(self._pending))
        if self._pending and self._pending[0] == key:
            heapq.heappop(self._pending)
        return lost if self.damaged else []

    def _missed(self, number: int) -> list[int]:
        """The packets before that of a picture which gave none, where pictures come in the order of display."""
        if number in self._pending:
            self._pending.remove(number)
            heapq.heapify(self._pending)
        newest = number if self._last is None else max(number, self._last)
        self._late = max(self._late, newest - number)  # so far behind are those that are displayed later
        self._last = newest
        refused = {other for other in self._failed if other < number}
        overdue = {other for other in self._pending if other < newest - self._late}
        gone = refused | overdue
        self._failed -= gone
        self._pending = [other for other in self._pending if other not in gone]
        heapq.heapify(self._pending)
        return sorted(gone) if self.damaged else []

    def _with_gaps(self, keys: list[int]) -> list[int]:
        """Between the first and the last key: those known to be lost, and those that a constant rate tells of."""
        lost: list[int] = []
        for before, after in zip(keys, keys[1:]):
            missing = self._missing(after - before)
            lost += [before + round(i * (after - before) / (missing + 1)) for i in range(1, missing + 1)]
            lost.append(after)
            if not missing and after > before:
                self._intervals.append(after - before)
        return lost[:-1]

    def _missing(self, interval: int) -> int:
        """How many pictures of a constant rate are missing in an interval between two packets."""
        period = self._period
        if len(self._intervals) >= ENOUGH:
            mean = sum(self._intervals) / len(self._intervals)
            # The container's rate is the finer one, where it is true: time stamps are rounded to ticks.
            period = period if abs(mean - period) <= 0.5 else mean
        constant = all(abs(other - period) <= 1 + 0.02 * period for other in self._intervals)
        if not (self.damaged and constant and period > 0):
            return 0
        missing = round(interval / period) - 1
        fits = abs(interval - (missing + 1) * period) <= 2 + 0.2 * period
        return missing if 0 < missing <= MOST_LOST and fits else 0

"""The place of every picture in a damaged stream: packets that gave no picture keep theirs.

A number that is counted from the pictures which a decoder gives moves with the first one that is lost, or that comes
late. Packets, and their time stamps, tell of the lost ones. In a sound stream of variable rate, a long distance
between two pictures is no gap, and some codecs have packets that are not meant to be seen: only a stream that shows
damage has gaps, or one of constant rate whose packets stand in them.
"""

import bisect
import collections
import dataclasses
from typing import Any

MEMORY = 16  # intervals that a constant rate is judged by
ENOUGH = 3  # of them; with fewer the container's rate is taken
RESTART = 32  # periods; time stamps that go back by more begin anew, by less are faulty
MOST_LOST = 1000  # in one gap between packets; more is a fault of the time stamps
HELD = 16  # pictures that wait for one before them: no codec keeps more back
SLACK = 2  # pictures; after a fault, decoders keep more of them back than before


@dataclasses.dataclass(frozen=True)
class Place:
    """One frame of the video: its time stamp (None: the file has none), its picture (None: lost), and its faults."""

    stamp: int | None
    picture: Any = None
    faulty: bool = True


@dataclasses.dataclass(frozen=True)
class _Came:
    number: int
    key: tuple[int, int] | None
    place: Place


class Places:
    """Follows the packets and the pictures of a stream and gives the places of the video, in order, each once.

    Packets are known by their number in the order of the file. Where the container has time stamps in the order of
    display (`timed`), these order the places; else the decoder's order of pictures does.

    Attributes:
      damaged: whether the stream shows damage; may be set.
      accounted: packets so far that have a place, or need none.
      first: the time stamp of the first picture.
      regular: whether all time stamps so far are of one constant rate.
      jumps: (place, pictures) wherever the time stamps of an undamaged stream of constant rate leave out whole
        pictures before a place.
    """

    def __init__(
        self, timed: bool, period: float, reordered: bool = False, whole: bool = False, begins_with_key: bool = False
    ):
        """Begin a stream.

        Args:
          timed: whether the packets' time stamps are to be used.
          period: ticks between two pictures, by the container's rate.
          reordered: whether pictures are displayed in another order than they are stored in.
          whole: whether the stream's first packet is the video's first picture, whatever it is.
          begins_with_key: whether the first packet of a sound stream decodes by itself. One that does not shows damage,
            and the pictures until the next keyframe are lost.
        """
        self._timed, self._period, self._reordered = timed, period, reordered
        self._late = 2 if reordered else 0
        self._begins_with_key = begins_with_key
        self._pending: list[tuple[int, int]] = []  # keys of packets whose picture has not come, sorted
        self._failed: set[tuple[int, int]] = set()  # of them, those that the decoder refused
        self._keys: dict[int, tuple[int, int]] = {}  # of packets by number
        self._idle: set[int] = set()  # packets that need no picture
        self._epoch, self._highest = 0, None
        self._intervals: collections.deque[int] = collections.deque(maxlen=MEMORY)
        self._first_key: tuple[int, int] | None = (0, 0) if whole else None  # of the first that decodes by itself
        self._last: tuple[int, int] | None = None  # the highest key so far of a place
        self._held: list[_Came] = []
        self._given = self._unseen = 0
        self.damaged, self.regular = False, timed
        self.first: int | None = None
        self.jumps: list[tuple[int, int]] = []

    @property
    def accounted(self) -> int:
        return self._given + self._unseen + len(self._idle)

    def packet(
        self, number: int, stamp: int | None, *, keyframe: bool, discard: bool = False, corrupt: bool = False
    ) -> None:
        """A packet goes to the decoder. Those that no decoder can show, before the first keyframe, have no place."""
        self.damaged |= corrupt
        key = self._key(number, stamp)
        if key is not None and not discard and self._first_key is None:
            if keyframe:
                self._first_key = key
            elif number == 0 and self._begins_with_key:
                self._first_key, self.damaged = key, True
        if key is None or discard or self._first_key is None or key < self._first_key:
            self._idle.add(number)
            return
        self._keys[number] = key
        bisect.insort(self._pending, key)

    def skipped(self, number: int, *, keyframe: bool) -> None:
        """A packet that the file lists is not in it."""
        self.packet(number, None, keyframe=keyframe)
        self.failed(number)

    def failed(self, number: int) -> None:
        """The decoder refused the packet."""
        self.damaged = True
        if (key := self._keys.get(number)) is not None:
            self._failed.add(key)

    def picture(self, number: int, stamp: int | None, picture: Any = True, faulty: bool = False) -> list[Place]:
        """The decoder gave a picture, of the packet `number`: the places that are known by now, the picture's or not.

        A picture whose place was given before, as a lost one, is left out.
        """
        self.damaged |= faulty
        self._idle.discard(number)
        key = self._keys.pop(number, None)
        if self._timed and key is not None and stamp is not None and key[1] != stamp:  # of which packet is not known
            key = (key[0], stamp)
        if key is not None and key in self._pending:
            self._pending.remove(key)
            self._failed.discard(key)
        elif self.damaged and self._is_taken(key, number, stamp):
            return []
        elif key is None and self._timed and stamp is not None:
            key = (self._epoch, stamp)
        came = _Came(number, key, Place(stamp if self._timed else None, picture, faulty))
        return self._in_order(came) if self._timed else self._as_they_come(came)

    def end(self) -> list[Place]:
        """The decoder has given all it had: the places that are left."""
        places = []
        if self._timed:
            while self._held:
                places += self._release()
        else:
            places += self._close(sorted(key for key in self._pending if self._last is None or key < self._last))
        left = [key for key in self._pending if self._last is None or key > self._last]
        return places + (self._lost(left) if self.damaged else [])

    def _key(self, number: int, stamp: int | None) -> tuple[int, int] | None:
        if not self._timed:
            return (0, number)
        if stamp is None:
            return None
        if self._highest is not None and self._highest - stamp > RESTART * self._period:
            self._epoch, self._highest = self._epoch + 1, stamp
        self._highest = stamp if self._highest is None else max(self._highest, stamp)
        return (self._epoch, stamp)

    def _is_taken(self, key: tuple[int, int] | None, number: int, stamp: int | None) -> bool:
        if self._timed and stamp is None:
            return False
        key = key or (self._epoch, stamp if self._timed else number)
        return (self._last is not None and key <= self._last) or any(came.key == key for came in self._held)

    def _in_order(self, came: _Came) -> list[Place]:
        """By time stamps: after a fault, decoders give pictures late; those behind them wait."""
        if came.key is None:  # without one, it follows the picture before it
            before = max((other.key for other in self._held), default=self._last)
            if before is not None and self.damaged:  # and is not lost in addition
                before = (before[0], before[1] + round(self._period))
                came = dataclasses.replace(came, place=dataclasses.replace(came.place, stamp=before[1]))
            came = dataclasses.replace(came, key=before)
        bisect.insort(self._held, came, key=lambda other: other.key or (-1, 0))
        places = []
        while self._held and (
            not self.damaged or len(self._held) > HELD or not self._awaited(self._held[0].key or (-1, 0))
        ):
            places += self._release()
        return places

    def _awaited(self, key: tuple[int, int]) -> bool:
        return any(other not in self._failed for other in self._before(key))

    def _before(self, key: tuple[int, int]) -> list[tuple[int, int]]:
        return self._pending[: bisect.bisect_left(self._pending, key)]

    def _release(self) -> list[Place]:
        came = self._held.pop(0)
        key, last = came.key, self._last
        if key is None or came.place.stamp is None:
            return self._shown(came.place)
        gone = self._before(key)
        del self._pending[: len(gone)]
        if last is None:
            self.first = came.place.stamp
            lost = gone if self.damaged else []
        elif key <= last:
            # A key that is taken is a fault of that time stamp: the rate tells where its picture belongs.
            lost = [other for other in gone if self.damaged]
        elif key[0] != last[0]:
            self.regular = False
            lost = gone if self.damaged else []
        else:
            lost = self._gap(last, [other for other in gone if other > last], key)
        self._last = key if last is None else max(key, last)
        self._unseen += max(len(gone) - len(lost), 0)
        return self._lost(lost) + self._shown(came.place)

    def _gap(self, last: tuple[int, int], gone: list[tuple[int, int]], key: tuple[int, int]) -> list[tuple[int, int]]:
        """What is lost between two places: packets without picture, and what a constant rate tells of."""
        missing = self._missing(key[1] - last[1])
        self.regular &= missing > 0 or abs(key[1] - last[1] - self._period) <= 1 + 0.02 * self._period
        if self.damaged:
            stamps = self._with_gaps([last[1], *(other[1] for other in gone), key[1]])
            return [(key[0], stamp) for stamp in stamps]
        sound = len(self._intervals) >= ENOUGH
        if not missing or not sound:
            self._intervals.append(key[1] - last[1])
            return []
        if len(gone) == missing and all(not self._missing(b - a) for a, b in _pairs(last, gone, key)):
            return gone
        if not gone:
            self.jumps.append((self._given, missing))
            self.regular = False
            if len(self.jumps) > 1:
                self._intervals.append(key[1] - last[1])  # of a variable rate, in the end
        return []

    def _as_they_come(self, came: _Came) -> list[Place]:
        """In the decoder's order: a packet is lost when its picture is later than any before."""
        newest = came.number if self._last is None else max(came.number, self._last[1])
        self._late = max(self._late, newest - came.number)  # so far behind are those that are displayed later
        self._last = (0, newest)
        self._held.append(came)
        overdue = newest - self._late - (SLACK if self._reordered and self.damaged else 0)
        gone = [key for key in self._pending if key[1] < overdue or (key in self._failed and key[1] < came.number)]
        open_ends = {*self._before((0, newest)), *self._failed} - set(gone)
        waits = self._reordered and self.damaged and len(self._held) <= HELD and open_ends
        return [] if waits else self._close(gone)

    def _close(self, gone: list[tuple[int, int]]) -> list[Place]:
        """Give what is held, with the lost ones among it by their numbers; which of them they stood between is not
        known where pictures are reordered, so that all of these have faults."""
        self._pending = [key for key in self._pending if key not in set(gone)]
        held, self._held = self._held, []
        lost = gone if self.damaged else []
        self._unseen += len(gone) - len(lost)
        places, left = [], list(lost)
        for came in held:
            while left and left[0][1] < came.number:
                places += self._lost([left.pop(0)])
            unsure = bool(lost) and self._reordered
            places += self._shown(dataclasses.replace(came.place, faulty=came.place.faulty or unsure))
        return places + self._lost(left)

    def _shown(self, place: Place) -> list[Place]:
        self._given += 1
        return [place]

    def _lost(self, keys: list[tuple[int, int]]) -> list[Place]:
        self._given += len(keys)
        self._failed.difference_update(keys)
        self._last = max([*keys, *([self._last] if self._last else [])], default=None)
        return [Place(key[1] if self._timed else None) for key in keys]

    def _with_gaps(self, stamps: list[int]) -> list[int]:
        """Between the first and the last: those known to be lost, and those that a constant rate tells of."""
        lost: list[int] = []
        for before, after in zip(stamps, stamps[1:]):
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
        if not (constant and period > 0):
            return 0
        missing = round(interval / period) - 1
        fits = abs(interval - (missing + 1) * period) <= 2 + 0.2 * period
        return missing if 0 < missing <= MOST_LOST and fits else 0


def _pairs(last: tuple[int, int], gone: list[tuple[int, int]], key: tuple[int, int]) -> list[tuple[int, int]]:
    stamps = [last[1], *(other[1] for other in gone), key[1]]
    return list(zip(stamps, stamps[1:]))

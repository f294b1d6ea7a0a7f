"""The packets of a video stream, with what the file shows of lost ones, and the times that they tell of."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from jmpose_jax.inference.video.avi_index import AviIndex
from jmpose_jax.inference.video.ffmpeg import complaints

# Their time stamps are made up in the order of the file, not of display.
UNTIMED = {"avi", "h264", "hevc", "m4v", "mpegvideo"}
RETRIES = 16  # reads after a fault of the container, without a packet
# Bytes between two packets that the container itself may fill; more of them were once a packet.
OVERHEAD = {"avi": 24, "matroska,webm": 128}
LEADING = 4  # packets behind a keyframe that are usual to be shown before it
CHUNK_HEAD = 8  # bytes of an AVI chunk before its packet


class Packets:
    """Goes through the packets of a stream.

    Attributes:
      damaged: since the packet before, FFmpeg has complained, or the file holds bytes that are no packet's.
      skipped: numbers of packets that the file's index lists between the one before and this one.
      lacking: since the packet before, content of the stream is gone.
      empty: packets that the index lists and that say no more than that the picture before stays.
      unsure: bytes have moved, and no index tells the numbers of this packet and later ones.
    """

    def __init__(self, container: Any, stream: Any):
        """Take an open container and its video stream."""
        self._container, self._stream = container, stream
        self._level = av.logging.DEBUG if container.format.name == "mpegts" else av.logging.WARNING
        avi = container.format.name == "avi"
        self._overhead = None if avi else OVERHEAD.get(container.format.name)
        entries = list(stream.index_entries) if avi else []
        self._index = {entry.pos + CHUNK_HEAD: number for number, entry in enumerate(entries)}
        self._keyframes = {number for number, entry in enumerate(entries) if entry.is_keyframe}
        own = AviIndex(container.name.removeprefix("file:"), stream.index) if avi else None
        self._own = own if own and len(own) >= len(entries) else None
        # Of a file without index, FFmpeg makes one of what it comes by.
        self._avi = avi
        self._indexed = avi and (bool(self._own) or len(entries) >= stream.frames > 0)
        if avi and not self._indexed:
            self._overhead = OVERHEAD["avi"]
        if self._own is not None:
            self._keyframes = self._own.keyframes
        self._end: int | None = None  # of the packets so far, a position in the file
        self._number = -1
        self.damaged, self.skipped, self.unsure = False, range(0), False
        self.lacking, self.empty = False, self._own.empty if self._own else 0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """(number in the order of the file, packet), the number of the index where there is one; at last None."""
        faults = 0
        while faults <= RETRIES:
            # Where bytes are accounted for, other streams' are needed too.
            packets = self._container.demux() if self._overhead else self._container.demux(self._stream)
            try:
                while True:
                    with complaints(self._level) as said:
                        packet = next(packets, None)
                    self._hear(said)
                    if packet is None:
                        faults = RETRIES + 1
                        break
                    if not packet.size:  # the end of a stream; or that the picture before stays
                        continue
                    faults = 0
                    self._account(packet)
                    if packet.stream is self._stream or packet.stream.index == self._stream.index:
                        yield self._next_number(packet), packet
                        self.damaged = self.lacking = False
            except av.FFmpegError:
                self.damaged = self.lacking = True
                faults += 1
        yield self._number + 1, None

    def is_keyframe(self, number: int) -> bool:
        """Whether the index says so of a packet."""
        return number in self._keyframes

    def _account(self, packet: Any) -> None:
        """Notice bytes between the packets before and this one that are too many for the container's own."""
        if not self._overhead or packet.pos is None:
            return
        if self._end is not None and packet.pos - self._end > self._overhead + (0 if self._avi else packet.size // 8):
            self.damaged = self.lacking = True
        self._end = max(self._end or 0, packet.pos + packet.size)

    def _hear(self, said: list[tuple[int, str, str]]) -> None:
        # Of half a packet FFmpeg only warns.
        half = f"Packet corrupt (stream = {self._stream.index},"
        self.lacking |= any(level <= av.logging.ERROR or text.startswith(half) for level, _, text in said)
        # Of whole ones that are gone from a transport stream it speaks in confidence; or two streams meet there.
        self.damaged |= self.lacking or any(text.startswith("Continuity check failed") for *_, text in said)

    def _next_number(self, packet: Any) -> int:
        following = self._number + 1
        if self._own:
            listed = None if packet.pos is None else self._own.number(packet.pos - CHUNK_HEAD, packet.size)
        else:
            listed = self._index.get(packet.pos)
        number = following if listed is None else listed
        self.unsure = not (listed is not None and self._indexed) and (self.unsure or self.damaged)
        self.skipped = range(following, number)
        self._number = max(number, following)
        return self._number


class Recovery:
    """Tells which packets' pictures may lack what is lost: those up to the next whole one, or shown before that."""

    def __init__(self, timed: bool, reordered: bool):
        """Begin a stream; `timed`: time stamps tell the order of display, which `reordered` says is another one."""
        self._timed = timed
        self._leading = LEADING if reordered else 0
        self._whole: Any | None = None  # the last keyframe behind a fault
        self._left = 0  # packets behind it that may be shown before it
        self._sound, self._leads = True, False

    def fault(self) -> None:
        """Something is lost here."""
        self._sound = False

    def complaint(self) -> None:
        """The decoder complains of the packet. Those that are shown before a keyframe are no base of others."""
        if not self._leads:
            self._sound = False

    def affects(self, packet: Any) -> bool:
        """Whether the picture of the next packet may lack something."""
        self._leads = False
        if packet.is_corrupt or (not self._sound and not packet.is_keyframe):
            self._sound = False
            return True
        if not self._sound:
            self._sound, self._whole, self._left = True, packet.pts, self._leading
            return False
        self._left -= 1
        earlier = not self._timed or None in (packet.pts, self._whole) or packet.pts < self._whole
        self._leads = self._left >= 0 and earlier and not packet.is_keyframe
        return self._leads


class Clock:
    """Seconds since the first frame, always growing, from the time stamps of a stream."""

    JUMP = 1  # seconds; time stamps that go back by more begin anew, by less are faulty

    def __init__(self, time_base: Fraction, rate: Fraction):
        self._time_base, self._period = time_base, 1 / rate
        self._origin: Fraction | None = None
        self._last: Fraction | None = None

    def at(self, key: int | None) -> Fraction:
        """The time of the next frame, of time stamp `key` where it has one."""
        following = Fraction(0) if self._last is None else self._last + self._period
        if key is None:
            time = following
        else:
            if self._origin is None:
                self._origin = Fraction(key)
            time = (key - self._origin) * self._time_base
            if self._last is not None and time <= self._last:
                if self._last - time > self.JUMP:
                    self._origin, time = key - following / self._time_base, following
                else:
                    time = self._last + self._time_base
        self._last = time
        return time

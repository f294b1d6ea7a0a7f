"""The index of a damaged AVI file: FFmpeg reads it only from where it should stand, and behind a sound head."""

import mmap
import os
import struct

REACH = 1 << 24  # bytes around its place in which the index is looked for
HEAD = 1 << 20  # bytes in which the packets begin
TRIES = 8  # packets that are looked for where the head of the list of packets is gone
ENTRY = struct.Struct("<4sIII")  # stream and kind, flags, position, size
KEYFRAME = 0x10


class AviIndex:
    """Tells the numbers of packets by a file's own list of them, before and behind bytes that are gone or new.

    Attributes:
      empty: how many it lists that say no more than that the picture before stays; they have no number.
      moved: bytes by which it stands behind its place.
      keyframes: the numbers of packets that can be decoded by themselves.
    """

    def __init__(self, path: str | os.PathLike, stream: int):
        """Look for the index; it is empty where there is none."""
        self._numbers: dict[tuple[int, int], int] = {}
        self.moved = self.empty = 0
        self.keyframes: set[int] = set()
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            base = content.find(b"movi", 0, HEAD)
            expected = base + struct.unpack_from("<I", content, base - 4)[0] if base >= 4 else len(content)
            expected += expected % 2
            at = content.rfind(b"idx1", max(expected - REACH, 0), expected + REACH)
            if at < 0 or at + 8 > len(content):
                return
            size = min(struct.unpack_from("<I", content, at + 4)[0], len(content) - at - 8)
            entries = ENTRY.iter_unpack(content[at + 8 : at + 8 + size - size % ENTRY.size])
            listed = [entry for entry in entries if entry[0][:2] == b"%02d" % stream and entry[0][2:3] == b"d"]
            self.empty = len(listed)
            listed = [entry for entry in listed if entry[3]]
            self.empty -= len(listed)
            if base >= 4:
                self.moved = at - expected
            else:  # the first packet that is there tells where positions are counted from
                heads = ((content.find(struct.pack("<4sI", entry[0], entry[3])), entry[2]) for entry in listed[:TRIES])
                base = next((found - position for found, position in heads if found >= 0), 0)
        shift = 0 if listed and listed[0][2] > base else base
        for number, (_, flags, position, size) in enumerate(listed):
            self._numbers[position + shift, size] = number
            if flags & KEYFRAME:
                self.keyframes.add(number)

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, position: int, size: int) -> int | None:
        """The number of the packet whose chunk begins at a position; None if the index does not list it."""
        found = self._numbers.get((position, size))
        return self._numbers.get((position - self.moved, size)) if found is None else found

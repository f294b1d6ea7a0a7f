"""JPEG files: their size and whether they are whole, without decoding; and decoding to RGB."""

import os
import pathlib
import sys
import tempfile

import cv2
import numpy as np

START, END = b"\xff\xd8", b"\xff\xd9"
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 4096
# Start-of-frame markers (C0..CF without the Huffman, arithmetic and reserved ones): they carry the size.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_ORIENTATION_TAG = 0x0112
_TURNS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}


def size_of(data: bytes) -> tuple[int, int] | None:
    """(height, width) that the header of a JPEG gives, or None where `data` does not reach it or is no JPEG."""
    position = 2
    if data[:2] != START:
        return None
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _FRAME_MARKERS:
            height, width = (int.from_bytes(data[position + i : position + i + 2], "big") for i in (5, 7))
            return (height, width) if height and width else None
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def orientation_of(data: bytes) -> int:
    """How a JPEG's EXIF tag says that its pixels are to be turned to stand upright, 1 (as they are) to 8."""
    position = 2
    while data[:2] == START and position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in (0xDA, 0xD9):  # the compressed data begin, or there are none
            break
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            return _tiff_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return 1


def _tiff_orientation(tiff: bytes) -> int:
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1
    start = int.from_bytes(tiff[4:8], order)
    for i in range(int.from_bytes(tiff[start : start + 2], order)):
        entry = tiff[start + 2 + 12 * i : start + 14 + 12 * i]
        if len(entry) == 12 and int.from_bytes(entry[:2], order) == _ORIENTATION_TAG:
            value = int.from_bytes(entry[8:10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) of an image once it is turned upright."""
    return size[::-1] if orientation >= 5 else size


def turned(data: bytes, orientation: int) -> bytes:
    """A JPEG whose pixels stand upright without a tag: decoded, turned, and encoded anew in high quality.

    Raises:
      ValueError: the file cannot be decoded.
    """
    image = decode(data)
    if image is None:
        raise ValueError("cannot be decoded")
    image = _TURNS[orientation](image)
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes()


def inspect(path: pathlib.Path, decoded: bool = False) -> tuple[tuple[int, int] | None, str]:
    """Size of a JPEG file, and what is wrong with it.

    The markers of start, size and end are checked; the compressed data between them where `decoded` asks for it. A file
    that does not end in the end marker is decoded in any case: some writers append bytes, which is harmless, while a
    cut-off file has none at all.

    Args:
      path: an existing file.
      decoded: decode the image and see whether the decoder finds anything wrong.

    Returns:
      ((height, width), "") or (None, reason).
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if head[:2] != START:
            return None, "not a JPEG file" if head else "empty file"
        file.seek(0, 2)
        length = file.tell()
        file.seek(max(0, length - TAIL_BYTES))
        tail = file.read()
        size = size_of(head)
        if size is None and length > HEAD_BYTES:  # long metadata
            file.seek(0)
            size = size_of(file.read())
        if tail[-2:] != END:
            if END not in tail:
                return None, "truncated (no end marker)"
            file.seek(0)
            if decode(file.read()) is None:
                return None, "cannot be decoded"
        if size and decoded:
            file.seek(0)
            if damage(file.read()):
                return None, "damaged in its compressed data"
    return (size, "") if size else (None, "no image size in its header")


def damage(data: bytes) -> str:
    """What the decoder complains about in a JPEG's compressed data; "" where it is whole.

    JPEG has no checksum: long damage is nearly always noticed, a single flipped bit in one case of five (the decoder
    falls into step again). The decoder goes on where it can and gives an image that is wrong from the damaged place on,
    telling so on the process's standard error alone: that is read here, so other threads should not write to it
    meanwhile.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            image = decode(data)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        said = file.read().decode(errors="replace").strip()
    if image is None:
        return "cannot be decoded"
    return said.splitlines()[0] if said else ""


def decode(data: bytes) -> np.ndarray | None:
    """The image: uint8 RGB [H, W, 3], or None where it cannot be decoded. Orientation tags are not applied."""
    if not data:
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)

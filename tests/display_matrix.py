"""Videos that are to be shown turned."""

import struct


def with_matrix(path, target, matrix):
    """A copy of an mp4 with another display matrix (a, b, c, d) in its track header."""
    raw = path.read_bytes()
    at = raw.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    target.write_bytes(raw[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + raw[at + 36 :])
    return target

"""What is said of FFmpeg's faults: kept from standard error, and put into words."""

import contextlib
from collections.abc import Iterator

import av.logging


@contextlib.contextmanager
def complaints() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says of errors, in this thread, while the block runs: (level, part of FFmpeg, text)."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said:
            yield said
    finally:
        av.logging.set_level(level)


def reason(error: Exception) -> str:
    """An error of FFmpeg or the system in a few words, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__

"""What is said of FFmpeg's faults: kept from standard error, and put into words."""

import contextlib
from collections.abc import Iterator

import av.logging


@contextlib.contextmanager
def complaints(up_to: int = av.logging.ERROR) -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says while the block runs, of errors or all `up_to` a level: (level, part of FFmpeg, text)."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(up_to)
    # Whether a fault is heard must not depend on what was said before, nor on the thread that a decoder runs.
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False) as said:
            yield said
    finally:
        av.logging.set_skip_repeated(skips)
        av.logging.set_level(level)


def reason(error: Exception) -> str:
    """An error of FFmpeg or the system in a few words, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__

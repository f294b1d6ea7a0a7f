"""What is said of FFmpeg's faults: kept from standard error, and put into words.

FFmpeg has one log a process. While one thread reads a video and another writes one, each hears its own faults: a
decoder, which speaks in threads of its own, is heard wherever it speaks, one at a time; a writer in its thread alone.
"""

import contextlib
import threading
from collections.abc import Iterator

import av.logging

_one_hears_all = threading.RLock()
_settings = threading.Lock()
_levels: list[int] = []  # of those who listen now
_before: tuple[int | None, bool] = (None, True)  # the settings while nobody listened


@contextlib.contextmanager
def complaints(up_to: int = av.logging.ERROR, own_thread: bool = False) -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says while the block runs: (level, part of FFmpeg, text).

    Args:
      up_to: errors, or all up to a level. A thread that listens to itself may hear more, where another wants it.
      own_thread: what this thread's calls say in it, and not those of other threads, nor of FFmpeg's own. Only one
        block without it runs at a time; others wait for it.
    """
    with contextlib.nullcontext() if own_thread else _one_hears_all:
        _listen(up_to)
        try:
            with av.logging.Capture(local=own_thread) as said:
                yield said
        finally:
            _listen_no_more(up_to)


def _listen(up_to: int) -> None:
    global _before
    with _settings:
        if not _levels:
            _before = av.logging.get_level(), av.logging.get_skip_repeated()
            # Whether a fault is heard must not depend on what was said before, nor on the thread that a decoder runs.
            av.logging.set_skip_repeated(False)
        _levels.append(up_to)
        av.logging.set_level(max(_levels))


def _listen_no_more(up_to: int) -> None:
    with _settings:
        _levels.remove(up_to)
        if _levels:
            av.logging.set_level(max(_levels))
            return
        level, skips = _before
        av.logging.set_skip_repeated(skips)
        av.logging.set_level(level)


def reason(error: Exception) -> str:
    """An error of FFmpeg or the system in a few words, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__

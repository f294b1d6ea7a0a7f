"""Ctrl-C and SIGTERM: asked for at points where work can be put away, instead of breaking in anywhere.

A handler that raises may do so inside a destructor or a callback, where Python swallows the exception, or in the midst
of a library that then falls apart. So a handler of ours notes the signal, and raises only where nobody asks.
"""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from jmpose_jax.errors import Interrupted, RunStopped, Terminated

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_STOPS: dict[int, type[RunStopped]] = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}

_received: int | None = None  # the first signal; none after it raises
_installed = False
_depth = 0  # of StopNotice contexts


class StopRequested(KeyboardInterrupt):
    """A signal came where nobody asks for it. `number` is the signal's."""

    def __init__(self, number: int):
        super().__init__(_NAMES[number])
        self.number = number


def install() -> None:
    """For commands, in the main thread: the first SIGINT or SIGTERM outside of `StopNotice` raises `StopRequested`.

    No later one does, so that what is being put away is not broken off.
    """
    global _installed
    _installed = True
    for number in SIGNALS:
        signal.signal(number, _raise_once)


def forget() -> None:
    """Take all signals so far for acted on: a process that goes on after a stop begins anew."""
    global _received
    _received = None


def _raise_once(number: int, frame: FrameType | None) -> None:
    if _note(number):
        raise StopRequested(number)


def _note(number: int) -> bool:
    """Note a signal; whether it is the first."""
    global _received
    if _received is None:
        _received = number
        return True
    _say(f"{_NAMES[number]} again: stopping already; `kill -9 {os.getpid()}` ends at once\n")
    return False


def _say(text: str) -> None:
    """Write from a signal handler, which may have come in the midst of a print."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


class StopNotice:
    """Context in which SIGINT and SIGTERM are asked for at safe points: `if notice.reached(): …`.

    A signal that came before, and whose exception was lost, is reached at the first point. One that came after the last
    point is passed on when the context ends. Other threads than the main one hear nothing new.
    """

    def __init__(self, saying: str = "stopping at the next safe point"):
        """`saying` tells, at the first signal, what will happen."""
        self._saying = saying
        self._number: int | None = None  # what a safe point was told of
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        global _depth
        _depth += 1
        self._late = _received is not None
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if _note(number):
            _say(f"{_NAMES[number]}: {self._saying}\n")

    def reached(self) -> bool:
        """Whether to stop here."""
        if self._number is None:
            self._number = _received
        return self._number is not None

    @property
    def interrupted(self) -> bool:
        """Whether the signal that a safe point was told of is Ctrl-C."""
        return self._number == signal.SIGINT

    def stopped(self, message: str) -> RunStopped:
        """The exception to raise once what is done has been put away: status 130 after Ctrl-C, 143 after SIGTERM."""
        number = self._number or signal.SIGINT
        return _STOPS[number](f"stopped by {_NAMES[number]}; {message}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _depth
        _depth -= 1
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        missed = None
        if self._previous and not self._late and self._number is None and kind is None:
            missed = _received  # it came after the last safe point in here: pass it on
        if missed is not None or (not _installed and _depth == 0):
            forget()
        if missed is not None:
            signal.raise_signal(missed)

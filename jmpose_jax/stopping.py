"""Ctrl-C and SIGTERM: asked for at points where work can be put away, instead of breaking in anywhere.

A handler that raises may do so inside a destructor or a callback, where Python swallows the exception, or in the midst
of a library that then falls apart. So a handler of ours notes the signal, and raises only where nobody asks.
"""

import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ExtensionFileLoader
from types import FrameType, TracebackType
from typing import Any, Self

from jmpose_jax.errors import Interrupted, RunStopped, Terminated

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 30.0  # seconds in which a process may end after a signal that finds nothing to put away
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_STOPS: dict[int, type[RunStopped]] = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
_AGAIN = 0  # written to the watcher's pipe: raise again

_pipe = -1  # where the watcher hears
_received: int | None = None  # the first signal; none after it raises
_acted_on = 0  # how often signals were taken for acted on
_raising = False  # the next call of the handler raises whatever came before
_installed = False
_watching = False  # a thread speaks, so that the handlers need not
_sayings: list[str] = []  # of the StopNotice contexts
_loading = False  # the command's modules are being imported
_at_once = 0  # depth of the contexts of that name
_program = "jmpose"
_ending = threading.Lock()  # taken by the thread that ends the process
_last: list[Callable[[], None]] = []  # what `leave` still does


class StopRequested(KeyboardInterrupt):
    """A signal came where nobody asks for it. `number` is the signal's."""

    def __init__(self, number: int):
        super().__init__(_NAMES[number])
        self.number = number


def install(loading: bool = False) -> None:
    """For commands, in the main thread: the first SIGINT or SIGTERM outside of `StopNotice` raises `StopRequested`.

    No later one does, so that what is being put away is not broken off. An exception that Python swallowed is raised
    again. A thread answers a signal at once, also while the main thread compiles, and ends a process that does not.

    Args:
      loading: as in `at_once` until `loaded` is called.
    """
    global _installed, _loading
    if _installed:
        return
    _installed, _loading = True, loading
    for number in SIGNALS:
        signal.signal(number, _raise_once)
    sys.unraisablehook = _not_swallowed
    sys.excepthook = _in_one_line
    _watch()


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """The handlers of `install` while the block runs, for a command that is called inside of another program."""
    global _installed
    if _installed or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise_once) for number in SIGNALS}
    _installed = True
    try:
        yield
    finally:
        _installed = False
        for number, handler in before.items():
            signal.signal(number, handler)
        forget()


def loaded() -> None:
    """The command's modules are imported, and its work begins."""
    global _loading
    _loading = False


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """While the block runs a signal ends a command where it stands: nothing is to be put away.

    An exception could only do harm. The initialisation of an extension module that is broken off crashes.
    """
    global _at_once
    _at_once += 1
    try:
        yield
    finally:
        _at_once -= 1


def called(program: str) -> None:
    """The command's name, for the lines of this module."""
    global _program
    _program = program


@contextlib.contextmanager
def at_last(action: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `leave` does this before it ends the process."""
    _last.append(action)
    try:
        yield
    finally:
        _last.remove(action)


def received() -> int | None:
    """The signal that this process was sent and has not acted on yet."""
    return _received


def name(number: int) -> str:
    """What a user calls the signal."""
    return _NAMES[number]


def forget() -> None:
    """Take all signals so far for acted on: a process that goes on after a stop begins anew."""
    global _received, _acted_on
    _received = None
    _acted_on += 1


def finished() -> None:
    """The work is done and nothing is left to be put away: signals no longer disturb how this process ends."""
    if _watching and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def leave(status: int) -> None:
    """End this process at once, without the teardown of libraries whose threads may still run; its children with it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for child in multiprocessing.active_children():
        with contextlib.suppress(OSError, ValueError):
            child.kill()
    threading.excepthook = lambda _: None  # what threads say of queues that go away below them
    # Semaphores and shared memory outlive a process: what multiprocessing does at exit removes them, if it can.
    tidying = threading.Thread(target=multiprocessing.util._run_finalizers, args=(0,), daemon=True)
    tidying.start()
    tidying.join(2.0)
    for action in list(_last):
        with contextlib.suppress(Exception):
            action()
    os._exit(status)


def _end(number: int) -> None:
    """End the process for a signal, with its line."""
    if _ending.acquire(blocking=False):
        _say(f"{_program}: stopped by {_NAMES[number]}\n")
        leave(128 + number)


def _nothing_to_keep() -> bool:
    return (_loading or _at_once > 0) and not _sayings


@contextlib.contextmanager
def deaf_children(*numbers: int) -> Iterator[None]:
    """Processes and threads that start inside do not hear these signals: this process tells them when to end.

    Ctrl-C in a terminal reaches every process of a command. A signal that comes meanwhile is heard afterwards.
    """
    multiprocessing.resource_tracker.ensure_running()  # its start, which the first process brings, ends the masking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise_once(number: int, frame: FrameType | None) -> None:
    global _raising
    again, _raising = _raising, False
    if not _note(number) and not again:
        return
    if _nothing_to_keep() and _watching:
        _end(number)
    elif _watching and _in_extension(frame):
        os.write(_pipe, bytes([_AGAIN]))
    else:
        raise StopRequested(number)


def _in_extension(frame: FrameType | None) -> bool:
    """Whether an extension module is being initialised, which does not expect an exception."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            return True
        frame = frame.f_back
    return False


def _note(number: int) -> bool:
    """Note a signal; whether it is the first."""
    global _received
    if _received is None:
        _received = number
        return True
    if not _watching:
        _say_again(number)
    return False


def _say_again(number: int) -> None:
    _say(f"{_NAMES[number]} again: stopping already; `kill -9 {os.getpid()}` ends at once\n")


def _say(text: str) -> None:
    """Write from a signal handler, which may have come in the midst of a print."""
    with contextlib.suppress(OSError):
        # A terminal's last line holds "^C" or a progress bar.
        os.write(2, f"{chr(10) if os.isatty(2) else ''}{text}".encode())


def _not_swallowed(swallowed: Any) -> None:
    """Hook of what Python cannot raise, in destructors say: a request to stop is made once more, a moment later."""
    if isinstance(swallowed.exc_value, StopRequested):
        os.write(_pipe, bytes([_AGAIN]))
    elif _received is None:  # libraries that are broken off complain of much
        sys.__unraisablehook__(swallowed)


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Hook of what nobody caught: a request to stop that came outside of the command's own care, as in its imports."""
    if isinstance(error, KeyboardInterrupt) or _received is not None:
        number = _received or signal.SIGINT
        _end(number)
    sys.__excepthook__(kind, error, trace)


def _watch() -> None:
    """Start the thread that hears signals when they come: Python's handlers wait for the main thread's next line."""
    global _watching, _pipe
    reader, _pipe = os.pipe()
    os.set_blocking(_pipe, False)
    signal.set_wakeup_fd(_pipe, warn_on_full_buffer=False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the main thread shall be the one that is woken
    threading.Thread(target=_hear, args=(reader,), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _watching = True
    os.register_at_fork(after_in_child=_be_a_child)


def _hear(reader: int) -> None:
    global _raising
    heard: list[int] = []
    own = 0  # signals that this thread sent
    acted_on = _acted_on  # the handlers, which note a signal, may be far behind: the main thread computes
    while True:
        number = os.read(reader, 1)[0]
        if number == _AGAIN:
            time.sleep(0.02)  # until the frame that swallows is left
            _raising = True
            own += 1
            os.kill(os.getpid(), _received or signal.SIGINT)
            continue
        if number not in SIGNALS:
            continue
        if own:
            own -= 1
            continue
        if acted_on != _acted_on:
            acted_on = _acted_on
            heard.clear()
        if _nothing_to_keep():
            _end(number)
        heard.append(number)
        if len(heard) == 2:
            _say_again(number)
        elif len(heard) == 1 and _sayings:
            _say(f"{_NAMES[number]}: {_sayings[-1]}\n")
        elif len(heard) == 1:
            timer = threading.Timer(PATIENCE, _give_up, (number,))
            timer.daemon = True
            timer.start()


def _give_up(number: int) -> None:
    """The main thread is held, by a compilation or by a library that fell apart, and there is nothing to put away."""
    if not _sayings:
        _end(number)


def _be_a_child() -> None:
    """In a forked process: it ends by SIGTERM as any other, and its parent hears Ctrl-C for it."""
    global _installed, _watching
    _installed = _watching = False
    forget()
    _sayings.clear()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.unraisablehook, sys.excepthook = sys.__unraisablehook__, sys.__excepthook__


class StopNotice:
    """Context in which SIGINT and SIGTERM are asked for at safe points: `if notice.reached(): …`.

    A signal that came before, and whose exception was lost, is reached at the first point. One that came after the last
    point is passed on when the context ends. Other threads than the main one hear nothing new.
    """

    def __init__(self, saying: str = "stopping at the next safe point", hand_on: bool = False):
        """Nothing is changed yet.

        Args:
          saying: tells, at the first signal, what will happen.
          hand_on: something else hears SIGTERM: leave that alone, and send Ctrl-C on to it. It says when to stop.
        """
        self._saying, self._hand_on = saying, hand_on
        self._number: int | None = None  # what a safe point was told of
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._late = _received is not None
        if threading.current_thread() is threading.main_thread():
            heard = SIGNALS[:1] if self._hand_on else SIGNALS
            self._previous = {number: signal.signal(number, self._remember) for number in heard}
        _sayings.append(self._saying)
        return self

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if _note(number) and not _watching:
            _say(f"{_NAMES[number]}: {self._saying}\n")
        if self._hand_on:
            os.kill(os.getpid(), signal.SIGTERM)

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
        _sayings.remove(self._saying)  # before the handlers, which may raise
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        missed = None
        if self._previous and not self._hand_on and not self._late and self._number is None and kind is None:
            missed = _received  # it came after the last safe point in here: pass it on
        if missed is not None and _sayings:
            return  # to the context around this one, which asks for itself
        if _installed and missed is not None:
            raise StopRequested(missed)
        if missed is not None or (not _installed and not _sayings):
            forget()
        if missed is not None:
            signal.raise_signal(missed)

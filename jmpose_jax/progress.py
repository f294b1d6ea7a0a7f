"""How far a long task is: a bar with the remaining time on a terminal, a plain line now and then elsewhere."""

import collections
import sys
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

INTERVAL = 5.0  # seconds between two plain lines: nobody wonders for longer whether anything goes on
MARKS = 60  # of the latest counts with their times; the rate is that between the oldest and now
APART = 1.0  # seconds between two of them at least: the rate is that of the last minute, or of the last 60 items


_drawn: weakref.WeakSet["ProgressBar"] = weakref.WeakSet()  # bars that stand in the terminal's last line


def leave_bars() -> None:
    """End the bars that are being drawn: the next line on standard error, which ends the command, begins anew."""
    for bar in list(_drawn):
        bar.close()


def say(text: str, enabled: bool = True) -> None:
    """A line on standard error, at once: what comes next is silent for long. `enabled` False says nothing."""
    if enabled:
        print(text, file=sys.stderr, flush=True)


def progress(
    iterable: Iterable[T],
    total: int | None,
    description: str,
    enabled: bool = True,
    interval: float = INTERVAL,
) -> Iterator[T]:
    """Passes the items on and reports, on standard error, how many have gone by.

    Args:
      iterable: what is gone through.
      total: how many items there are; None where that is unknown (no remaining time is shown then).
      description: a word or two that name the task.
      enabled: False reports nothing.
      interval: seconds between two plain lines where standard error is no terminal.

    Yields:
      The items of `iterable`, in their order.
    """
    bar = ProgressBar(total, description, enabled=enabled, interval=interval)
    try:
        for item in iterable:
            yield item
            bar.update()
    finally:
        bar.close()


class Pace:
    """The rate of a task of late. Compilation, caches and processes that start make the first item no measure of it."""

    def __init__(self, count: int):
        """Args: count: what is done before the first item."""
        self._initial = count
        self._marks: collections.deque[tuple[float, int]] = collections.deque(maxlen=MARKS)

    def start(self, count: int, now: float) -> None:
        """Take this moment for the beginning: what came before is no measure, what comes next is."""
        self._marks.clear()
        self._marks.append((now, count))

    def add(self, count: int, now: float) -> None:
        """Note how much is done, and when (seconds of a monotonic clock)."""
        if count == self._initial:
            return
        if not self._marks or (now - self._marks[-1][0] >= APART and count > self._marks[-1][1]):
            self._marks.append((now, count))

    def rate(self, count: int, now: float) -> float | None:
        """Items a second; None before two items after the first."""
        if not self._marks or count - self._marks[0][1] < 2:
            return None
        then, before = self._marks[0]
        return (count - before) / max(now - then, 1e-9)


class ProgressBar:
    """The same report for a loop that counts by itself: training steps, frames of a video."""

    def __init__(
        self, total: int | None, description: str, *, initial: int = 0, enabled: bool = True, interval: float = INTERVAL
    ):
        """Start the clock.

        Args:
          total: the count at the end; None where unknown.
          description: a word or two that name the task.
          initial: what was done before (a run that goes on).
          enabled: False reports nothing.
          interval: seconds between two plain lines where standard error is no terminal.
        """
        self._total, self._description, self._interval = total, description, interval
        self._count = self._first = initial
        self._note = ""
        self._enabled = enabled
        self._last = self._began = time.monotonic()
        self._pace = Pace(initial)
        self._bar = None
        if enabled and sys.stderr.isatty():
            # tqdm counts the first item into its estimate; ours stands behind the bar instead.
            count = "{n_fmt}" if total is None else "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}"
            shape = "{desc}: " + count + " [{elapsed}{postfix}]"
            self._bar = tqdm(total=total, initial=initial, desc=description, dynamic_ncols=True, bar_format=shape)
            _drawn.add(self)

    def update(self, steps: int = 1) -> None:
        """Count steps done."""
        self._count += steps
        if not self._enabled:
            return
        now = time.monotonic()
        self._pace.add(self._count, now)
        if self._bar is not None:
            self._bar.set_postfix_str(self._behind(now), refresh=False)
            self._bar.update(steps)
        elif now - self._last >= self._interval and self._count != self._total:
            self._last = now
            behind = self._behind(now)
            print(f"{self._description}: {self._done()}{', ' if behind else ''}{behind}", file=sys.stderr, flush=True)

    def restart(self) -> None:
        """The clock starts anew at the present count: what came before, compilation say, is no measure of the rest."""
        self._last = time.monotonic()
        self._pace.start(self._count, self._last)

    def note(self, text: str) -> None:
        """A few words that stand behind the count from now on, e.g. the loss."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(self._behind(time.monotonic()), refresh=False)

    def close(self) -> None:
        """The last line, or the end of the bar; a second call does nothing."""
        if self._bar is not None:
            self._bar.close()
        elif self._enabled and self._count > self._first:
            # The line always comes, so that a log tells that the task ended, how, and how long it took in all.
            whole = self._total is None or self._count >= self._total
            done = self._whole() if whole else f"stopped at {self._done()}"
            note = f"; {self._note}" if self._note else ""
            seconds = time.monotonic() - self._began
            print(f"{self._description}: {done} in {seconds:.1f} s{note}", file=sys.stderr, flush=True)
        self._enabled, self._bar = False, None
        _drawn.discard(self)

    def _whole(self) -> str:
        """The count at the end; of a task that went on, counted as in the lines before."""
        now = self._count - self._first
        of = "" if self._total is None else f" of {self._total}"
        return f"{self._count}{of}, {now} of them now" if self._first else f"{now} done"

    def _done(self) -> str:
        if self._total is None:
            return str(self._count)
        return f"{self._count}/{self._total} ({100 * self._count / max(self._total, 1):.0f} %)"

    def _behind(self, now: float) -> str:
        """What stands behind the count: the rate or the remaining time, where it is known, and the note."""
        rate = self._pace.rate(self._count, now)
        if rate is None:
            pace = ""
        elif self._total is None:
            pace = f"{rate:.3g} a second"
        else:
            pace = f"{max(self._total - self._count, 0) / rate:.0f} s to go"
        return "; ".join(filter(None, (pace, self._note)))

"""How far a long task is: a bar with the remaining time on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(
    iterable: Iterable[T],
    total: int | None,
    description: str,
    enabled: bool = True,
    interval: float = 10.0,
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
    if not enabled:
        yield from iterable
    elif sys.stderr.isatty():
        yield from tqdm(iterable, total=total, desc=description, dynamic_ncols=True)
    else:
        yield from _plain_lines(iterable, total, description, interval)


def _plain_lines(iterable: Iterable[T], total: int | None, description: str, interval: float) -> Iterator[T]:
    start = last = time.monotonic()
    count = 0
    for count, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - last >= interval and count != total:
            last = now
            print(f"{description}: {_state(count, total, now - start)}", file=sys.stderr, flush=True)
    if count:
        # The last line always comes, so that a log tells that the task ended and how long it took.
        print(f"{description}: {count} done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def _state(count: int, total: int | None, elapsed: float) -> str:
    rate = count / max(elapsed, 1e-9)
    if total is None:
        return f"{count}, {rate:.3g} a second"
    return f"{count}/{total} ({100 * count / max(total, 1):.0f} %), {(total - count) / rate:.0f} s to go"


class ProgressBar:
    """The same report for a loop that counts by itself: training steps, frames of a video."""

    def __init__(
        self, total: int | None, description: str, *, initial: int = 0, enabled: bool = True, interval: float = 10.0
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
        self._initial = self._count = initial
        self._note = ""
        self._enabled = enabled
        self._start = self._last = time.monotonic()
        self._bar = None
        if enabled and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=initial, desc=description, dynamic_ncols=True)

    def update(self, steps: int = 1) -> None:
        """Count steps done."""
        self._count += steps
        if self._bar is not None:
            self._bar.update(steps)
            return
        now = time.monotonic()
        if self._enabled and now - self._last >= self._interval and self._count != self._total:
            self._last = now
            # The rate of this run alone: what a resumed run had done before took another run's time.
            elapsed = (now - self._start) * self._count / max(self._count - self._initial, 1)
            print(f"{self._description}: {_state(self._count, self._total, elapsed)}{self._note}", file=sys.stderr)

    def restart(self) -> None:
        """Start the clock anew: what was slow until here, a compilation say, says nothing of what is to come."""
        self._start = self._last = time.monotonic()
        self._initial = self._count

    def note(self, text: str) -> None:
        """A few words that stand behind the count from now on, e.g. the loss."""
        self._note = f"; {text}"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        """The last line, or the end of the bar."""
        if self._bar is not None:
            self._bar.close()
        elif self._enabled and self._count > self._initial:
            seconds = time.monotonic() - self._start
            done = self._count - self._initial
            print(f"{self._description}: {done} done in {seconds:.1f} s{self._note}", file=sys.stderr, flush=True)

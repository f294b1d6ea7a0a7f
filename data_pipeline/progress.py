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

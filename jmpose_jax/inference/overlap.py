"""Work that goes on beside the caller's, in order: items made ahead of it, and pieces of work done behind it."""

import collections
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class _Channel(Generic[Item]):
    """A queue of bounded length between two threads, which either of them can end."""

    def __init__(self, length: int):
        self._items: collections.deque[Item] = collections.deque()
        self._length, self._changed = length, threading.Condition()
        self._full_stop = self._no_more = False
        self.fault: BaseException | None = None  # of the thread that made the items, or that took them

    def put(self, item: Item) -> bool:
        """Waits for a place; False where nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._full_stop or len(self._items) < self._length)
            if not self._full_stop:
                self._items.append(item)
                self._changed.notify_all()
            return not self._full_stop

    def take(self) -> Item:
        """Waits for an item.

        Raises:
          EOFError: there are no more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._full_stop or self._no_more or self._items)
            if self._full_stop or not self._items:
                raise EOFError
            self._changed.notify_all()
            return self._items.popleft()

    def end(self) -> None:
        """Nothing more comes; what is there may still be taken."""
        with self._changed:
            self._no_more = True
            self._changed.notify_all()

    def drop(self) -> None:
        """Nothing more comes, and what is there goes."""
        with self._changed:
            self._full_stop = True
            self._items.clear()
            self._changed.notify_all()


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The items of an iterable, which a thread asks for before they are wanted.

    To be closed (`contextlib.closing`) where it may not be read to its end: that waits for the item being made, and
    closes the iterable.

    Args:
      items: asked for in the thread alone.
      count: how many wait at most; one more is being made.

    Raises:
      What the iterable raises, once the items before have been taken.
    """
    channel: _Channel[Item] = _Channel(count)

    def fetch() -> None:
        try:
            for item in items:
                if not channel.put(item):
                    break
                del item  # so that it lives no longer than whoever takes it wants
        except BaseException as fault:
            channel.fault = fault
        finally:
            if hasattr(items, "close"):
                with contextlib.suppress(Exception):
                    items.close()
            channel.end()

    thread = threading.Thread(target=fetch, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = channel.take()
            except EOFError:
                break
            yield item
            del item
        if channel.fault is not None:
            raise channel.fault
    finally:
        channel.drop()
        thread.join()


class Behind:
    """A context whose thread does pieces of work one after another, while the caller goes on.

    Left without an exception it waits until all is done. Left by one, what has not begun is dropped.
    """

    def __init__(self, count: int):
        """The thread starts with the context.

        Args:
          count: pieces that wait at most.
        """
        self._channel: _Channel[Callable[[], None]] = _Channel(count)
        self._thread = threading.Thread(target=self._work, name="behind", daemon=True)

    def do(self, work: Callable[[], None]) -> None:
        """Hand over a piece of work; waits while `count` of them wait.

        Raises:
          What an earlier piece raised.
        """
        if not self._channel.put(work):
            self._raise()

    def _work(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                work = self._channel.take()
                try:
                    work()
                except BaseException as fault:
                    self._channel.fault = fault
                    self._channel.drop()
                del work

    def _raise(self) -> None:
        if self._channel.fault is not None:
            raise self._channel.fault

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._channel.end()
        else:
            self._channel.drop()
        self._thread.join()
        if kind is None:
            self._raise()

"""Batches that pass by while somebody waits: what is compiled, and how far it is."""

from collections.abc import Iterator, Sized
from typing import Any, Protocol

from jmpose_jax.progress import ProgressBar, say
from jmpose_jax.records import ClipBatch


class Batches(Sized, Protocol):
    """A loader of known length."""

    def __iter__(self) -> Iterator[ClipBatch]: ...


def reported(loader: Batches, description: str, enabled: bool = True, compiled: bool = False) -> Iterator[Any]:
    """Passes the batches on, and reports on standard error.

    The first batch, whose program is compiled, does not count into the estimate of the time that is left.

    Args:
      loader: one pass; its length is the number of batches.
      description: a word or two that name the task.
      enabled: False reports nothing.
      compiled: the program is there from an earlier pass.

    Yields:
      The batches, in their order.
    """
    bar, first = None, True
    for batch in loader:
        if bar is None:
            say(
                f"{description}: compiling for the first of {len(loader)} batches, which may take a minute …",
                enabled and not compiled,
            )
            bar = ProgressBar(len(loader), description, enabled=enabled)
        yield batch  # comes back once it has been worked on
        bar.update(1)
        if first:
            bar.restart()
            first = False
    if bar is not None:
        bar.close()

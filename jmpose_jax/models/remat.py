"""Rematerialisation: what the backward pass computes again, block by block, instead of keeping it.

Recomputing a whole network at once saves nothing, since all of it must be there when its backward pass begins. Here
each residual block keeps its inputs alone, and one at a time is computed again. XLA may undo that on CPUs, but for the
blocks that are repeated by a scan.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import flax.linen as nn

_in_force: contextvars.ContextVar[bool] = contextvars.ContextVar("rematerialising", default=False)


@contextlib.contextmanager
def rematerialising(on: bool = True) -> Iterator[None]:
    """Within it, what is traced through `call` keeps its inputs alone."""
    token = _in_force.set(on)
    try:
        yield
    finally:
        _in_force.reset(token)


def is_rematerialising() -> bool:
    """Whether blocks are to keep their inputs alone."""
    return _in_force.get()


def call(block: nn.Module, *inputs: Any, train: bool) -> Any:
    """`block(*inputs, train)`; where rematerialisation is in force, its backward pass computes the block again.

    Blocks within the block are kept while it is computed again: each is computed twice, never thrice.

    Args:
      block: a module of the caller.
      inputs: arrays, or trees of them.
      train: passed on.
    """
    if not is_rematerialising():
        return block(*inputs, train)

    def again(block: nn.Module, *inputs: Any) -> Any:
        with rematerialising(False):
            return block(*inputs, train)

    return nn.remat(again)(block, *inputs)

"""What a long run must notice: values that are not finite, hosts that differ, an input that has stopped."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import HostsDiffer, InputStalled
from jmpose_jax.train import distributed


def checksum(tree: Any) -> jax.Array:
    """A checksum of all bits of a tree of arrays, uint32.

    Every 32-bit word (shorter types one a word) is multiplied by an odd number that depends on its place, so that one
    flipped bit and two exchanged words change it. Integer sums do not depend on their order: sharded and whole arrays
    give the same number.
    """
    total = jnp.uint32(0)
    for number, leaf in enumerate(jax.tree.leaves(tree)):
        bits = _bits(jnp.asarray(leaf)).reshape(-1)
        place = jax.lax.iota(jnp.uint32, bits.size) * jnp.uint32(2654435762) + jnp.uint32(2 * number + 1)
        total += jnp.sum(bits * place, dtype=jnp.uint32)
    return total


def _bits(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32)
    words = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}[x.dtype.itemsize]
    return jax.lax.bitcast_convert_type(x, words).astype(jnp.uint32)


_checksum = jax.jit(checksum)


def state_checksum(tree: Any) -> int:
    """`checksum` of a tree of global arrays, the same on all processes."""
    return int(_checksum(tree))


def check_hosts_agree(tree: Any, step: int) -> None:
    """Compare the copies that the processes hold of the replicated arrays.

    Raises:
      HostsDiffer: naming the processes whose copies differ from process 0's.
    """
    if jax.process_count() == 1:
        return
    copies = [x.addressable_data(0) for x in jax.tree.leaves(tree) if x.is_fully_replicated]
    found = distributed.gather(np.array([int(_checksum(copies))], np.uint32))
    different = np.flatnonzero(found != found[0])
    if different.size:
        raise HostsDiffer(
            f"at step {step} the parameters of processes {different.tolist()} differ from those of process 0; "
            "go on from the last checkpoint and check these hosts' memory"
        )


@contextlib.contextmanager
def stall_watchdog(seconds: float, step: int) -> Iterator[None]:
    """Let what is inside take at most `seconds`; 0 for ever. Works in the main thread only.

    Raises:
      InputStalled: naming the step.
    """
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise InputStalled(
            f"the input gave no batch for {seconds:g} s after step {step}; check the storage of the data set, "
            "or raise train.stall_seconds"
        )

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

"""How fast training goes and what holds it up: rates, utilisation, waiting for input, memory, slow hosts."""

import contextlib
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jmpose_jax.inspection.chips import peak_flops
from jmpose_jax.inspection.summary import count_flops
from jmpose_jax.train import distributed


class Throughput:
    """Measures between one log line and the next."""

    def __init__(self, devices: Sequence[Any]):
        """Start measuring.

        Args:
          devices: all devices of the run.
        """
        self._peak = peak_flops(devices)
        self._flops: float | None = None
        self.restart()

    def restart(self) -> None:
        """Leave out what was done since the last call of `scalars`: an evaluation is no step."""
        self._began, self._steps, self._waited = time.perf_counter(), 0, 0.0

    @contextlib.contextmanager
    def waiting_for_input(self) -> Iterator[None]:
        """Around the call that gives a batch."""
        asked = time.perf_counter()
        yield
        self._waited += time.perf_counter() - asked
        self._steps += 1

    def scalars(self, clips: int, flops: Callable[[], float]) -> dict[str, float]:
        """What was measured since the last call; all processes call it at the same step, after waiting for the device.

        Args:
          clips: clips of a step, over all hosts.
          flops: operations of a step over all devices; asked once, and only where the devices' peak is known.

        Returns:
          `steps_per_second`, `clips_per_second`, `input_wait` (share of the time); `mfu`, the operations done over
          those that the devices could do at best (bfloat16), where their peak is known (what config.train.remat
          computes again counts as done); the memory as in `memory`; with several processes those of `hosts`.
        """
        seconds, steps = time.perf_counter() - self._began, self._steps
        found = {
            "clips_per_second": steps * clips / seconds,
            "steps_per_second": steps / seconds,
            "input_wait": self._waited / seconds,
        }
        if self._peak is not None:
            if self._flops is None:
                self._flops = flops()
            found["mfu"] = self._flops * steps / seconds / self._peak
        found |= memory()
        if jax.process_count() > 1:
            found |= hosts(distributed.gather(np.array([[seconds / max(steps, 1), self._waited / seconds]])))
        self.restart()
        return found


def hosts(measured: np.ndarray) -> dict[str, float]:
    """What tells slow hosts from fast ones.

    Hosts wait for each other in every step, so that their step times hardly differ, and a slow one shows in its waiting
    for input.

    Args:
      measured: float [P, 2], seconds a step and share of the time spent waiting for input, of every process.

    Returns:
      `host_skew`, the slowest host's step time over the fastest's; `input_wait_slowest_host`, the largest share; and
      `slowest_host`, the number of the process that has it.
    """
    seconds, waits = measured.T
    return {
        "host_skew": float(seconds.max() / seconds.min()),
        "input_wait_slowest_host": float(waits.max()),
        "slowest_host": float(waits.argmax()),
    }


def memory() -> dict[str, float]:
    """Most bytes held: by the fullest device of this process where the backend counts them, else by the process."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [s["peak_bytes_in_use"] for s in stats if "peak_bytes_in_use" in s]
    if peaks:
        return {"device_memory_peak_bytes": float(max(peaks))}
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return {"host_memory_peak_bytes": float(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)}


def step_flops(mesh: jax.sharding.Mesh, step: jax.stages.Wrapped, *arguments: Any) -> float:
    """Operations of the convolutions and matrix products of one step, over all devices.

    They are counted in the traced program: XLA's cost analysis counts the body of a loop once.

    Args:
      mesh: in force when the step is traced.
      step: from `jit_step`.
      *arguments: of the step; only their shapes matter.
    """
    with jax.set_mesh(mesh):
        traced = step.trace(*arguments)
    return float(count_flops(traced.jaxpr.jaxpr).total())

"""Ctrl-C, and SIGTERM, the notice that a scheduler gives before it takes the machine away, in a run of any size."""

import itertools
import os
import signal
from types import FrameType, TracebackType
from typing import Self

import jax
from jax.experimental import multihost_utils

from jmpose_jax.errors import Interrupted, Preempted, RunStopped
from jmpose_jax.stopping import StopNotice

# Points of this process so far, over all contexts: the hosts agree on a number, which must never come twice.
_points = itertools.count()


class PreemptionNotice:
    """Context in which SIGTERM and Ctrl-C no longer end the process but are asked for at safe points.

    With several processes JAX's preemption service hears SIGTERM, on whichever host it comes, and all hosts agree on
    the same point; Ctrl-C is handed to it as SIGTERM. Alone, a signal handler remembers either. A signal during
    compilation is heard at the next point.
    """

    def __init__(self, saying: str = "stopping at the next step, which is saved") -> None:
        """`saying` tells, at the first signal, what will happen."""
        self._alone = StopNotice(saying) if jax.process_count() == 1 else None
        self._previous = None

    def __enter__(self) -> Self:
        # The service installs its own handler of SIGTERM; ours would take the signal away from it.
        if self._alone is not None:
            self._alone.__enter__()
        else:
            self._previous = signal.signal(signal.SIGINT, _hand_on)
        return self

    def reached(self) -> bool:
        """Whether to stop here; all processes ask at the same points."""
        if self._alone is not None:
            return self._alone.reached()
        return multihost_utils.reached_preemption_sync_point(next(_points))

    def stopped(self, message: str) -> RunStopped:
        """The exception to raise after `reached`: Interrupted after Ctrl-C, else Preempted."""
        if self._alone is not None and self._alone.interrupted:
            return Interrupted(f"stopped by Ctrl-C{message}")
        return Preempted(f"stopped by SIGTERM{message}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alone is not None:
            self._alone.__exit__(kind, error, trace)
        else:
            signal.signal(signal.SIGINT, self._previous)


def _hand_on(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)

"""SIGTERM, the notice that a scheduler gives before it takes the machine away."""

import itertools
import signal
import threading
from types import TracebackType
from typing import Self

import jax
from jax.experimental import multihost_utils

# Points of this process so far, over all contexts: the hosts agree on a number, which must never come twice.
_points = itertools.count()


class PreemptionNotice:
    """Context in which SIGTERM no longer ends the process but is asked for at safe points.

    With several processes JAX's preemption service hears the signal, on whichever host it comes, and all hosts agree on
    the same point; alone, a signal handler remembers it. A signal during compilation is heard at the next point.
    """

    def __init__(self) -> None:
        self._told = False
        self._previous = None

    def __enter__(self) -> Self:
        # The service installs its own handler; ours would take the signal away from it.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def _remember(self, number: int, frame: object) -> None:
        self._told = True

    def reached(self) -> bool:
        """Whether to stop here; all processes ask at the same points."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(next(_points))
        return self._told

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            if self._told and callable(self._previous):  # it came after the last safe point in here: pass it on
                self._previous(signal.SIGTERM, None)

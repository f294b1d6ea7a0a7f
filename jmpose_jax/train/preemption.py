"""Ctrl-C, and SIGTERM, the notice that a scheduler gives before it takes the machine away, in a run of any size."""

import itertools
from types import TracebackType
from typing import Self

import jax
from jax.experimental import multihost_utils

from jmpose_jax.errors import Interrupted, Preempted, RunStopped
from jmpose_jax.stopping import StopNotice

# Points of this process so far, over all contexts: the hosts agree on a number, which must never come twice.
_points = itertools.count()
STOPS = (Interrupted, Preempted)  # what `PreemptionNotice.stopped` gives


class PreemptionNotice:
    """Context in which SIGTERM and Ctrl-C no longer end the process but are asked for at safe points.

    With several processes JAX's preemption service hears SIGTERM, on whichever host it comes, and all hosts agree on
    the same point; Ctrl-C is handed on to it. Alone, a signal handler remembers either. A signal during compilation is
    heard at the next point.
    """

    def __init__(self, saying: str = "stopping after this step, which is saved") -> None:
        """`saying` tells, at the first signal, what will happen."""
        self._alone = jax.process_count() == 1
        # The service installs its own handler of SIGTERM; ours would take the signal away from it.
        self._notice = StopNotice(saying, hand_on=not self._alone)

    def __enter__(self) -> Self:
        self._notice.__enter__()
        return self

    def reached(self) -> bool:
        """Whether to stop here; all processes ask at the same points."""
        if self._alone:
            return self._notice.reached()
        agreed = multihost_utils.reached_preemption_sync_point(next(_points))
        if agreed:
            self._notice.reached()  # Ctrl-C may have come to this process
        return agreed

    def stopped(self, message: str) -> RunStopped:
        """The exception to raise after `reached`, `message` being what follows "stopped by Ctrl-C" or "… SIGTERM".

        Interrupted (status 130) after Ctrl-C, else Preempted (75): a scheduler shall start the command again.
        """
        if self._notice.interrupted:
            return Interrupted(f"stopped by Ctrl-C{message}")
        return Preempted(f"stopped by SIGTERM{message}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._notice.__exit__(kind, error, trace)

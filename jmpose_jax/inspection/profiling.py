"""A trace of some steps for TensorBoard's profiler or Perfetto."""

import os
import pathlib
import re
from typing import Any

import jax

from jmpose_jax.errors import InputError


def parse_profile_steps(text: str) -> tuple[int, int]:
    """First and last step of "FIRST:LAST", both traced.

    Raises:
      InputError: the text is of another form, or the last step lies before the first.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(
            f"--profile_steps={text} is no FIRST:LAST; give two steps from 1 on, e.g. --profile_steps=10:15"
        )
    return int(found[1]), int(found[2])


class StepProfiler:
    """Traces the steps from `first` to `last`, on each process into a folder of its own.

    Attributes:
      folder: WORKDIR/profile/process0 and so on.
    """

    def __init__(self, workdir: str | os.PathLike, first: int, last: int):
        """Prepare; nothing is written before the first step."""
        self._first, self._last = first, last
        self.folder = pathlib.Path(workdir) / "profile" / f"process{jax.process_index()}"
        self._running = False

    def check(self, done: int, total_steps: int) -> None:
        """Raises InputError where a run that has done `done` steps of `total_steps` does not do the steps to trace."""
        if not done < self._first <= self._last <= total_steps:
            raise InputError(
                f"--profile_steps={self._first}:{self._last}: this run does steps {done + 1} to {total_steps}; "
                "give steps among them"
            )

    def before(self, step: int) -> None:
        """Call before each step, numbered from 1."""
        if step == self._first:
            jax.profiler.start_trace(str(self.folder))
            self._running = True

    def after(self, step: int, results: Any) -> None:
        """Call after each step with what it has computed: the trace ends when the last step's work is done."""
        if self._running and step == self._last:
            jax.block_until_ready(results)
            self.close()

    def close(self) -> None:
        """Write what was traced; call at the end of the run too, which may come early."""
        if self._running:
            self._running = False
            jax.profiler.stop_trace()

"""The loop around the step: save, then read, then step."""

import collections
import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from jmpose_jax.errors import NonFiniteLoss
from jmpose_jax.records import ClipBatch
from jmpose_jax.train import checkpoints, distributed, sharding
from jmpose_jax.train.guards import check_hosts_agree, stall_watchdog
from jmpose_jax.train.preemption import STOPS, PreemptionNotice
from jmpose_jax.train.profiling import StepProfiler
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import TrainStep, jit_step
from jmpose_jax.train.throughput import Throughput, step_flops
from jmpose_jax.train.writers import MetricsWriter


class Loader(Protocol):
    """An endless source of batches whose position can be saved."""

    def __iter__(self) -> Iterator[ClipBatch]: ...
    def __next__(self) -> ClipBatch: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...


class _Health:
    """Finds the steps whose loss or gradient was not finite, without waiting for the device at each step."""

    def __init__(self, skip: bool, tell: Callable[[int, dict[str, float], np.ndarray], None]):
        self.skipped = 0
        self._skip, self._tell = skip, tell
        self._pending: collections.deque[tuple[int, Any, np.ndarray]] = collections.deque()

    def note(self, step: int, metrics: Mapping[str, jax.Array], index: np.ndarray) -> None:
        self._pending.append((step, metrics, index))

    def inspect(self) -> None:
        """Look at the steps noted since the last time; all processes do so at the same steps."""
        while self._pending:
            step, metrics, index = self._pending.popleft()
            found = {name: float(value) for name, value in jax.device_get(metrics).items()}
            if all(math.isfinite(v) for k, v in found.items() if k.startswith("loss/") or k == "gradient_norm"):
                continue
            # Processes that share the examples of a row of the mesh name them all.
            clips = list(dict.fromkeys(distributed.gather(index).tolist()))
            self._tell(step, found, np.asarray(clips))
            if not self._skip:
                raise NonFiniteLoss(
                    f"the loss or its gradient is not finite at step {step}: {found}; lower the learning rate, or set "
                    "config.train.non_finite=skip"
                )
            self.skipped += 1


def train_loop(
    state: TrainState,
    step: TrainStep,
    loader: Loader,
    *,
    total_steps: int,
    loss_weights: Mapping[str, float],
    schedule: Callable[[int], Any],
    mesh: jax.sharding.Mesh,
    manager: Any,
    config: dict[str, Any],
    writer: MetricsWriter,
    log_every: int,
    save_every: int,
    keep_steps: tuple[int, ...] = (),
    report: Callable[[int, dict[str, float]], None] = lambda step, scalars: None,
    shardings: TrainState | None = None,
    skip_non_finite: bool = False,
    non_finite: Callable[[int, dict[str, float], np.ndarray], None] = lambda step, scalars, index: None,
    stall_seconds: float = 0.0,
    check_hosts_every: int = 0,
    evaluate: Callable[[TrainState], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    profiler: StepProfiler | None = None,
) -> TrainState:
    """Train up to `total_steps`.

    Args:
      state: where to start; its step says how much is done.
      step: from `make_train_step`.
      loader: batches from where the state left off.
      total_steps: step count at the end.
      loss_weights: weight of every loss term by name.
      schedule: learning rate by step, to be logged.
      mesh: devices the batch is split over.
      manager: checkpointer of the workdir.
      config: goes into every checkpoint.
      writer: gets the metrics every `log_every` steps.
      log_every: steps between two log lines (and two waits for the device).
      save_every: steps between two checkpoints; the last step is always saved.
      keep_steps: further steps to save at.
      report: called after every step with the step and, on logged steps, the scalars.
      shardings: where the state's arrays live, from `sharding.state_sharding`; a copy on each device by default.
      skip_non_finite: the step leaves out updates that are not finite (`make_train_step`): count them and go on.
      non_finite: called with step, metrics and clip numbers of each batch whose loss or gradient was not finite.
      stall_seconds: how long the loader may take for one batch; 0 for ever.
      check_hosts_every: steps between two comparisons of the processes' parameters; 0 for never.
      evaluate: metrics of a state, of which "ap" says which checkpoint is the best; they are logged and saved with it.
      evaluate_every: steps between two evaluations; 0 for never. One that a signal breaks off is not made up for.
      profiler: traces its steps.

    Returns:
      The final state.

    Raises:
      NonFiniteLoss: a loss or gradient was not finite; seen at the next log line or save, so that none is saved.
      InputStalled, HostsDiffer: see `guards`.
      NoSpace: the disk is full.
      HostLost: another process died or cannot be reached.
      Preempted, Interrupted: SIGTERM or Ctrl-C came; the step that was under way is saved.
    """
    if shardings is None:
        shardings = sharding.state_sharding(state, mesh)
    compiled = jit_step(step, shardings, mesh)
    health = _Health(skip_non_finite, non_finite)
    weights = {name: np.float32(value) for name, value in loss_weights.items()}
    done = int(state.step)
    meter = Throughput(mesh.devices.flat)
    profiler = profiler or StepProfiler("", 0, 0)
    with distributed.told_of_lost_host(), PreemptionNotice() as notice, contextlib.closing(profiler):
        while done < total_steps:
            # The position of the input is saved before the next batch is drawn: a restored run draws the same one.
            with meter.waiting_for_input(), stall_watchdog(stall_seconds, done):
                local = next(loader)
            profiler.before(done + 1)
            batch = sharding.put_batch(local, mesh)
            with jax.set_mesh(mesh):  # kernels split their own calls over the mesh in force
                state, metrics = compiled(state, batch, weights)
            done += 1
            profiler.after(done, metrics)
            health.note(done, metrics, np.asarray(local.index))
            scalars: dict[str, float] = {}
            found, broken_off = None, False
            evaluating = evaluate is not None and evaluate_every > 0 and done % evaluate_every == 0
            if done % log_every == 0 or done == total_steps or evaluating:
                scalars = {name: float(value) for name, value in jax.device_get(metrics).items()}
                health.inspect()
                scalars["learning_rate"] = float(schedule(done - 1))
                flops = functools.partial(step_flops, mesh, compiled, state, batch, weights)
                scalars |= meter.scalars(batch.index.shape[0], flops)
                if skip_non_finite:
                    scalars["skipped_steps"] = health.skipped
                found, broken_off = _evaluated(evaluate, state) if evaluating else (None, False)
                writer.write(done, scalars | {f"eval/{name}": value for name, value in (found or {}).items()})
                meter.restart()
            if check_hosts_every and done % check_hosts_every == 0:
                check_hosts_agree(state, done)
            report(done, scalars)
            stop = notice.reached() or broken_off
            if stop or evaluating or done % save_every == 0 or done == total_steps or done in keep_steps:
                health.inspect()
                checkpoints.save(manager, state, loader.get_state(), config, found)
            if stop and done < total_steps:
                checkpoints.wait(manager)
                checkpoints.write_names(manager)
                raise notice.stopped(f", saved at step {done}; run the same command again to go on")
        checkpoints.wait(manager)  # a signal must not break the last save off
    return state


def _evaluated(
    evaluate: Callable[[TrainState], dict[str, float]], state: TrainState
) -> tuple[dict[str, float] | None, bool]:
    """The metrics of a state, and whether a signal broke the evaluation off."""
    try:
        return evaluate(state), False
    except STOPS:
        return None, True

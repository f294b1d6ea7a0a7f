"""The loop around the step: save, then read, then step."""

import collections
import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from jmpose_jax.errors import NonFiniteLoss
from jmpose_jax.inspection.profiling import StepProfiler
from jmpose_jax.inspection.throughput import Throughput, step_flops
from jmpose_jax.records import Batch
from jmpose_jax.train import checkpoints, distributed, sharding
from jmpose_jax.train.guards import check_hosts_agree, stall_watchdog
from jmpose_jax.train.preemption import STOPS, PreemptionNotice
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import TrainStep, jit_step
from jmpose_jax.train.writers import MetricsWriter


class Loader(Protocol):
    """An endless source of batches whose position can be saved."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
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
                    "train.non_finite=skip"
                )
            self.skipped += 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long a training runs, and what happens every so many steps.

    Attributes:
      total_steps: step count at the end.
      log_every: steps between two log lines (and two waits for the device).
      save_every: steps between two checkpoints; the last step is always saved.
      keep_steps: further steps to save at.
      evaluate_every: steps between two evaluations; 0 for never. One that a signal breaks off is not made up for.
      check_hosts_every: steps between two comparisons of the processes' parameters; 0 for never.
      stall_seconds: how long the loader may take for one batch; 0 for ever.
      skip_non_finite: the step leaves out updates that are not finite (`make_train_step`): count them and go on.
    """

    total_steps: int
    log_every: int
    save_every: int
    keep_steps: tuple[int, ...] = ()
    evaluate_every: int = 0
    check_hosts_every: int = 0
    stall_seconds: float = 0.0
    skip_non_finite: bool = False


@dataclasses.dataclass(frozen=True)
class Program:
    """What is computed, and where.

    Attributes:
      step: from `make_train_step`.
      loss_weights: weight of every loss term by name.
      schedule: learning rate by step, to be logged.
      mesh: devices the batch is split over.
      shardings: where the state's arrays live, from `sharding.state_sharding`; a copy on each device by default.
    """

    step: TrainStep
    loss_weights: Mapping[str, float]
    schedule: Callable[[int], Any]
    mesh: jax.sharding.Mesh
    shardings: TrainState | None = None


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where a training leaves what it finds.

    Attributes:
      manager: checkpointer of the workdir.
      config: goes into every checkpoint.
      writer: gets the metrics every `log_every` steps.
    """

    manager: Any
    config: dict[str, Any]
    writer: MetricsWriter


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What is called while a training runs.

    Attributes:
      report: after every step with the step and, on logged steps, the scalars.
      non_finite: with step, metrics and clip numbers of each batch whose loss or gradient was not finite.
      evaluate: metrics of a state; they are logged and saved with it, and the manager's `best` compares them.
      profiler: traces its steps.
    """

    report: Callable[[int, dict[str, float]], None] = lambda step, scalars: None
    non_finite: Callable[[int, dict[str, float], np.ndarray], None] = lambda step, scalars, index: None
    evaluate: Callable[[TrainState], dict[str, float]] | None = None
    profiler: StepProfiler | None = None


def train_loop(
    state: TrainState, loader: Loader, program: Program, plan: Plan, outputs: Outputs, hooks: Hooks = Hooks()
) -> TrainState:
    """Train up to `plan.total_steps`.

    Args:
      state: where to start; its step says how much is done.
      loader: batches from where the state left off.
      program: what is computed.
      plan: when what happens.
      outputs: where it goes.
      hooks: who is told.

    Returns:
      The final state.

    Raises:
      NonFiniteLoss: a loss or gradient was not finite; seen at the next log line or save, so that none is saved.
      InputStalled, HostsDiffer: see `guards`.
      NoSpace: the disk is full.
      HostLost: another process died or cannot be reached.
      Preempted, Interrupted: SIGTERM or Ctrl-C came; the step that was under way is saved.
    """
    mesh, manager = program.mesh, outputs.manager
    shardings = sharding.state_sharding(state, mesh) if program.shardings is None else program.shardings
    compiled = jit_step(program.step, shardings, mesh)
    health = _Health(plan.skip_non_finite, hooks.non_finite)
    weights = {name: np.float32(value) for name, value in program.loss_weights.items()}
    done = int(state.step)
    meter = Throughput(mesh.devices.flat)
    profiler = hooks.profiler or StepProfiler("", 0, 0)
    with distributed.told_of_lost_host(), PreemptionNotice() as notice, contextlib.closing(profiler):
        while done < plan.total_steps:
            # The position of the input is saved before the next batch is drawn: a restored run draws the same one.
            with meter.waiting_for_input(), stall_watchdog(plan.stall_seconds, done):
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
            evaluating = hooks.evaluate is not None and plan.evaluate_every > 0 and done % plan.evaluate_every == 0
            if done % plan.log_every == 0 or done == plan.total_steps or evaluating:
                scalars = {name: float(value) for name, value in jax.device_get(metrics).items()}
                health.inspect()
                scalars["learning_rate"] = float(program.schedule(done - 1))
                flops = functools.partial(step_flops, mesh, compiled, state, batch, weights)
                scalars |= meter.scalars(batch.index.shape[0], flops)
                if plan.skip_non_finite:
                    scalars["skipped_steps"] = health.skipped
                found, broken_off = _evaluated(hooks.evaluate, state) if evaluating else (None, False)
                outputs.writer.write(done, scalars | {f"eval/{name}": value for name, value in (found or {}).items()})
                meter.restart()
            if plan.check_hosts_every and done % plan.check_hosts_every == 0:
                check_hosts_agree(state, done)
            hooks.report(done, scalars)
            stop = notice.reached() or broken_off
            last = done == plan.total_steps
            if stop or evaluating or done % plan.save_every == 0 or last or done in plan.keep_steps:
                health.inspect()
                checkpoints.save(manager, state, loader.get_state(), outputs.config, found)
            if stop and not last:
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

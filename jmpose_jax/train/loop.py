"""The loop around the step: save, then read, then step."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from jmpose_jax.records import ClipBatch
from jmpose_jax.train import checkpoints, sharding
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import TrainStep
from jmpose_jax.train.writers import MetricsWriter


class Loader(Protocol):
    """An endless source of batches whose position can be saved."""

    def __iter__(self) -> Iterator[ClipBatch]: ...
    def __next__(self) -> ClipBatch: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the message names the step."""


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

    Returns:
      The final state.

    Raises:
      NonFiniteLoss: when a logged loss is not finite.
    """
    compiled = jax.jit(step, donate_argnums=0)
    weights = {name: np.float32(value) for name, value in loss_weights.items()}
    done = int(state.step)
    began, counted = time.perf_counter(), 0
    while done < total_steps:
        # The position of the input is saved before the next batch is drawn: a restored run draws the same one.
        batch = sharding.put_batch(next(loader), mesh)
        with jax.set_mesh(mesh):  # kernels split their own calls over the mesh in force
            state, metrics = compiled(state, batch, weights)
        done += 1
        counted += 1
        scalars: dict[str, float] = {}
        if done % log_every == 0 or done == total_steps:
            scalars = {name: float(value) for name, value in jax.device_get(metrics).items()}
            if not all(math.isfinite(v) for k, v in scalars.items() if k.startswith("loss/")):
                raise NonFiniteLoss(f"the loss is not finite at step {done}: {scalars}; lower the learning rate")
            now = time.perf_counter()
            scalars["learning_rate"] = float(schedule(done - 1))
            scalars["clips_per_second"] = counted * batch.index.shape[0] / (now - began)
            began, counted = now, 0
            writer.write(done, scalars)
        report(done, scalars)
        if done % save_every == 0 or done == total_steps or done in keep_steps:
            checkpoints.save(manager, state, loader.get_state(), config)
    return state

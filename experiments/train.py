"""`jmpose train`: train a model from a config, or go on where the workdir left off."""

import dataclasses
import functools
import json
import os
import pathlib
import sys
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

from data_pipeline.progress import ProgressBar
from experiments import data
from experiments.files import write_json
from experiments.launch import launch
from experiments.summary import summary as summarized
from experiments.tasks import Task, task_of
from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch
from jmpose_jax.train import checkpoints, sharding
from jmpose_jax.train.loop import train_loop
from jmpose_jax.train.optimizers import create_optimizer, learning_rate_schedule
from jmpose_jax.train.state import TrainState, create_state, replace_subtree
from jmpose_jax.train.step import TrainStep, make_train_step
from jmpose_jax.train.writers import MetricsWriter


def plain(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON would give it back: references resolved, tuples as lists."""
    return json.loads(config.copy_and_resolve_references().to_json_best_effort())


def train(
    config: ConfigDict, workdir: str | os.PathLike, *, start_from: str | os.PathLike | None = None, quiet: bool = False
) -> TrainState:
    """Train as the config says, from the workdir's latest checkpoint where there is one.

    Args:
      config: from a file in `configs/`.
      workdir: gets `config.json`, `metrics.jsonl`, TensorBoard events and `checkpoints/`.
      start_from: a fresh workdir starts from this checkpoint of the same model: state, optimiser and input position.
      quiet: no progress report.

    Returns:
      The final state.

    Raises:
      InputError: the config, the data set or a checkpoint is at fault.
    """
    folder = pathlib.Path(workdir)
    mesh = sharding.data_mesh()
    sharding.check_batch_size(config.train.batch_size, mesh)
    task = task_of(config)
    config = task.config
    loader = data.train_loader(config)
    try:
        parts = set_up(task, loader)
        state = jax.device_put(parts.state, sharding.replicated(mesh))

        folder.mkdir(parents=True, exist_ok=True)
        description = plain(config)
        with checkpoints.checkpointer(folder, keep=config.train.keep, keep_steps=config.train.keep_steps) as manager:
            if manager.latest is not None:
                state, position = checkpoints.restore(manager, state, sharding.replicated(mesh))
                loader.set_state(position)
            elif start_from is not None:
                source = checkpoints.find_checkpoint(start_from)
                with checkpoints.checkpointer(source.parents[1], keep=1000) as other:
                    state, position = checkpoints.restore(other, state, sharding.replicated(mesh), int(source.name))
                loader.set_state(position)
            if jax.process_index() == 0:
                write_json(folder / "config.json", description)
            writer = MetricsWriter(folder, int(state.step))
            bar = ProgressBar(parts.total_steps, f"train {folder.name}", initial=int(state.step), enabled=not quiet)
            state = train_loop(
                state,
                parts.step,
                loader,
                total_steps=parts.total_steps,
                loss_weights=task.loss_weights,
                schedule=parts.schedule,
                mesh=mesh,
                manager=manager,
                config=description,
                writer=writer,
                log_every=config.train.log_every,
                save_every=config.train.save_every,
                keep_steps=tuple(config.train.keep_steps),
                report=functools.partial(_report, bar),
            )
            bar.close()
            writer.close()
        return state
    finally:
        loader.close()


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a training consists of.

    Attributes:
      total_steps: step count at the end.
      schedule: learning rate by step.
      step: the training step.
      state: fresh, with the submodules that `config.init` names.
      example: a batch; the loader still stands where it stood.
    """

    total_steps: int
    schedule: Any
    step: TrainStep
    state: TrainState
    example: ClipBatch


def set_up(task: Task, loader: Any) -> Parts:
    """Model, optimiser, step and fresh state of a task.

    Args:
      task: of the config.
      loader: of the training split.

    Raises:
      InputError: as `train`.
    """
    config = task.config
    if config.model.get("flow_source") == "raft" and not config.init.get("flow_network"):
        raise InputError(
            "config.init.flow_network is empty, and JM-Pose does not train its RAFT: give a checkpoint of "
            "`jmpose convert` or of configs/raft_synthetic.py, or set config.model.flow_source"
        )
    model = create_model(config.model)
    steps_per_epoch = max(len(loader), 1)
    total_steps = config.train.steps or round(config.train.epochs * steps_per_epoch)
    schedule = _schedule(config, total_steps, steps_per_epoch)
    optimizer = create_optimizer(
        config.optimizer.name,
        schedule,
        weight_decay=config.optimizer.weight_decay,
        frozen=config.optimizer.frozen,
        clip_norm=config.optimizer.clip_norm,
    )
    beginning = loader.get_state()
    example = next(loader)
    loader.set_state(beginning)
    # The default generator makes XLA compile the initialisation of a small network for 17 s instead of 3.
    key = jax.random.key(config.seed, impl="rbg")
    state = initialised(create_state(model, optimizer, key, example), config)
    return Parts(total_steps, schedule, make_train_step(model, optimizer, task.loss), state, example)


def _schedule(config: ConfigDict, total_steps: int, steps_per_epoch: int) -> Any:
    return learning_rate_schedule(
        config.optimizer.schedule,
        config.optimizer.learning_rate,
        total_steps,
        warmup_steps=config.optimizer.warmup_steps,
        boundaries=[round(epoch * steps_per_epoch) for epoch in config.optimizer.boundaries],
        decay_factor=config.optimizer.decay_factor,
        decay_steps=config.optimizer.decay_steps,
    )


def initialised(state: TrainState, config: ConfigDict) -> TrainState:
    """The fresh state with the submodules that `config.init` names taken from their checkpoints."""
    for name, path in config.init.items():
        if not path:
            continue
        found, variables = checkpoints.load_variables(path)
        inner = {k: v.get(name, v) for k, v in variables.items()}
        try:
            state = replace_subtree(state, inner, name)
        except ValueError as error:
            model = found.get("model", {})
            kind = repr(model.get("name", "?")) + (f" of size {model['size']}" if "size" in model else "")
            raise InputError(
                f"config.init.{name}={path} (a model {kind}) does not fit config.model.{name}: {error}"
            ) from None
    return state


def _report(bar: ProgressBar, step: int, scalars: dict[str, float]) -> None:
    bar.update(1)
    if scalars:
        bar.note(f"loss {scalars['loss/total']:.4g}, {scalars['clips_per_second']:.0f} clips/s")


def main(argv: list[str] | None = None) -> None:
    config = config_flags.DEFINE_config_file(
        "config", None, "Config file, e.g. configs/jmpose.py:tiny.", lock_config=True
    )
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; a run found there goes on.")
    summary = flags.DEFINE_bool("summary", False, "Print the model's modules, shapes, parameters and GFLOP, and stop.")
    depth = flags.DEFINE_integer("summary_depth", 2, "How far down --summary lists modules.", lower_bound=0)

    def run() -> None:
        if summary.value and config.value is not None:
            print(summarized(config.value, depth.value))
            return
        for flag in (config, workdir):
            if flag.value is None:
                raise InputError(f"--{flag.name} is missing")
        train(config.value, workdir.value)
        print(f"trained: {workdir.value}")

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)

"""What a training consists of, made from its config: model, optimiser, step, fresh state."""

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.configuration.naming import as_in_config
from experiments.systems import Built
from jmpose_jax.errors import InputError
from jmpose_jax.records import Batch
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.initial_values import initial_key
from jmpose_jax.train.optimizers import Optimizer, Schedule
from jmpose_jax.train.state import TrainState, create_state, replace_subtree
from jmpose_jax.train.step import TrainStep, make_train_step


def plain(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON would give it back: references resolved, tuples as lists."""
    return json.loads(config.copy_and_resolve_references().to_json_best_effort())


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
    example: Batch


def set_up(config: ConfigDict, system: Built, loader: Any, fresh: bool = True) -> Parts:
    """Model, optimiser, step and fresh state of a training.

    Args:
      config: of the training.
      system: of the config.
      loader: of the training split.
      fresh: False where a checkpoint is to be restored, which has what `config.init` gave.

    Raises:
      InputError: as `train`.
    """
    if fresh and config.model.get("flow_network") is not None and not config.init.get("flow_network"):
        raise InputError(
            "config.init.flow_network is empty, and the model does not train its flow network: give a checkpoint of "
            "`jmpose convert` or of configs/raft_synthetic.py, or set config.model.flow_network to None and "
            "config.dataset.flow_source to dis"
        )
    beginning = loader.get_state()
    example = next(loader)
    loader.set_state(beginning)
    total_steps, schedule, step, create = build(config, system, max(len(loader), 1))
    state = create(example)
    if fresh:
        state = initialised(state, config)
    if config.train.ema_decay:
        state = state.replace(ema=jax.tree.map(jnp.copy, state.params))
    return Parts(total_steps, schedule, step, state, example)


def build(
    config: ConfigDict, system: Built, steps_per_epoch: int
) -> tuple[int, Any, TrainStep, Callable[[Batch], TrainState]]:
    """What a config says of a training without its data: total steps, schedule, step, and the state for a batch.

    Args:
      config: of the training.
      system: of the config.
      steps_per_epoch: batches of an epoch.
    """
    total_steps = config.train.steps or round(config.train.epochs * steps_per_epoch)
    schedule = _schedule(config, total_steps, steps_per_epoch)
    options = config.optimizer
    with as_in_config("config.optimizer", *(field.name for field in dataclasses.fields(Optimizer))):
        optimizer = Optimizer(
            options.name, options.weight_decay, options.amsgrad, options.frozen, options.clip_norm
        ).create(schedule)
    step = make_train_step(
        system.model,
        optimizer,
        system.objective,
        seed=config.seed,
        accumulate=config.train.accumulate,
        ema_decay=config.train.ema_decay,
        remat=config.train.remat,
        skip_non_finite=config.train.non_finite == "skip",
    )
    create = functools.partial(create_state, system.model, optimizer, initial_key(config.seed))
    return total_steps, schedule, step, create


def _schedule(config: ConfigDict, total_steps: int, steps_per_epoch: int) -> Any:
    options = config.optimizer
    schedule = Schedule(
        options.schedule,
        options.learning_rate,
        warmup_steps=options.warmup_steps,
        warmup_start=options.warmup_start,
        boundaries=[round(epoch * steps_per_epoch) for epoch in options.boundaries],
        decay_factor=options.decay_factor,
        decay_steps=options.decay_steps,
        end_rate=options.end_rate,
    )
    with as_in_config("config.optimizer", "schedule", "warmup_start", "end_rate"):
        return schedule.create(total_steps)


def initialised(state: TrainState, config: ConfigDict) -> TrainState:
    """The fresh state with the submodules that `config.init` names taken from their checkpoints."""
    for name, path in config.init.items():
        if not path:
            continue
        found, variables = trained_models.load_variables(path)
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

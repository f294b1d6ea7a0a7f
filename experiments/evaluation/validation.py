"""What a model is measured by as it stands, every so many steps of a training."""

import itertools
from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from experiments.command.reported import reported
from experiments.evaluation.estimates import run_split
from experiments.systems import Built
from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train import sharding
from jmpose_jax.train.state import TrainState


def make_validation(
    config: ConfigDict, system: Built, mesh: jax.sharding.Mesh, quiet: bool = True
) -> Callable[[TrainState], dict[str, float]]:
    """A function that scores a state on the config's evaluation split.

    Args:
      config: of the training; `eval.ema` takes the moving average of the parameters.
      system: of the config.
      mesh: over which the state lies.
      quiet: no report of the progress.

    Returns:
      Function of a state; {main metric of the system's evaluation: figure}, the same on all processes.

    Raises:
      InputError: the system cannot be evaluated in training, or there is no moving average.
    """
    evaluation = system.evaluation
    evaluation.check_training(config)
    check_average(config)
    score = evaluation.scorer(config)
    run = sharding.split_over_devices(evaluation.estimator(config, create_model(config.model)))

    told = not quiet and jax.process_index() == 0
    passes = itertools.count()

    def validate(state: TrainState) -> dict[str, float]:
        parameters = state.ema if config.eval.ema else state.params
        variables = sharding.local_copy({"params": parameters, "batch_stats": state.batch_stats}, mesh)
        loader = system.data.evaluate(config)
        try:
            batches = reported(loader, "validate", enabled=told, compiled=next(passes) > 0)
            return score(run_split(lambda batch: run(variables, batch), batches, len(loader.table)))
        finally:
            loader.close()

    return validate


def check_average(config: ConfigDict) -> None:
    """Raises InputError where the moving average is to be evaluated and none is kept."""
    if config.eval.ema and not config.train.ema_decay:
        raise InputError("config.eval.ema needs the moving average of config.train.ema_decay, which is 0")

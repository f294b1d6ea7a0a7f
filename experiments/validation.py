"""PoseTrack AP of the model as it stands, every so many steps of a training."""

import itertools
import math
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from data_pipeline.clips import ClipTable
from experiments import data
from experiments.evaluation import Scorer, configured_estimator, estimate_split
from experiments.reported import reported
from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train import sharding
from jmpose_jax.train.state import TrainState


def make_validation(
    config: ConfigDict, mesh: jax.sharding.Mesh, quiet: bool = True
) -> Callable[[TrainState], dict[str, float]]:
    """A function that scores a state on the config's evaluation split.

    Args:
      config: of the training; `eval.ema` takes the moving average of the parameters.
      mesh: over which the state lies.
      quiet: no report of the progress.

    Returns:
      Function of a state; {"ap": mean AP of the 15 joints in percent}, the same on all processes. It is NaN, which is
      never the best, where the state gives coordinates or scores that are not finite.

    Raises:
      InputError: the model estimates no poses, the boxes are not annotated ones, or there is no moving average.
    """
    if config.model.name == "raft":
        raise InputError("config.train.evaluate_every: AP is of poses, RAFT estimates none; leave it at 0")
    if config.dataset.boxes != "ground_truth":
        raise InputError("config.train.evaluate_every scores annotated boxes; set config.dataset.boxes=ground_truth")
    check_average(config)
    table = ClipTable.load(data.dataset_root(config), config.dataset.eval_split)
    scorer = Scorer(table, data.annotations(config))
    run = sharding.split_over_devices(configured_estimator(config, create_model(config.model)))

    told = not quiet and jax.process_index() == 0
    passes = itertools.count()

    def validate(state: TrainState) -> dict[str, float]:
        parameters = state.ema if config.eval.ema else state.params
        variables = sharding.local_copy({"params": parameters, "batch_stats": state.batch_stats}, mesh)
        loader = data.eval_loader(config)
        try:
            batches = reported(loader, "validate", enabled=told, compiled=next(passes) > 0)
            found = estimate_split(
                lambda batch: {"model": run(variables, batch)}, batches, len(loader.table), config.dataset.skeleton
            )["model"]
        finally:
            loader.close()
        if not all(np.isfinite(column).all() for column in found):
            return {"ap": math.nan}
        return {"ap": float(scorer.ap(found)["Total"])}

    return validate


def check_average(config: ConfigDict) -> None:
    """Raises InputError where the moving average is to be evaluated and none is kept."""
    if config.eval.ema and not config.train.ema_decay:
        raise InputError("config.eval.ema needs the moving average of config.train.ema_decay, which is 0")

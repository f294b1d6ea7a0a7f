"""What a config's system is made of: model, objective, data and evaluation, by its row in `jmpose_jax.systems`."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.configuration.naming import as_in_config
from jmpose_jax.errors import InputError
from jmpose_jax.losses.objective import Objective, create_objective
from jmpose_jax.models.registry import create_model
from jmpose_jax.systems import system

COMPUTE_DTYPES = ("float32", "bfloat16")

# Kind -> module with the functions that `experiments.evaluation` and `experiments.run.clips` say.
EVALUATIONS = {
    "posetrack": "experiments.evaluation.poses",
    "endpoint_error": "experiments.evaluation.endpoint_error",
    "kinematics": "experiments.evaluation.kinematics",
}
DATA_KINDS = {"clips": "experiments.run.clips", "sequences": "experiments.run.sequences"}


@dataclasses.dataclass(frozen=True)
class Built:
    """A config's system, made once.

    Attributes:
      model: of the training.
      objective: what it is trained by.
      data: where its batches come from; see `data_of`.
      evaluation: what it is measured by; see `evaluation_of`.
    """

    model: nn.Module
    objective: Objective
    data: Any
    evaluation: Any


def built(config: ConfigDict) -> Built:
    """The system of a config; nothing is read or computed.

    Raises:
      InputError: an unknown system, key or choice.
    """
    return Built(model_of(config), objective_of(config), data_of(config), evaluation_of(config))


def objective_of(config: ConfigDict) -> Objective:
    """The objective of a config.

    Raises:
      InputError: an unknown system, key or choice, or the data set lacks what a term reads.
    """
    with as_in_config("config", "loss"):
        objective = create_objective(system(config.model.name).objective, config.loss.to_dict())
        if hasattr(objective, "check_dataset"):
            objective.check_dataset(config.dataset)
        return objective


def evaluation_of(config: Mapping[str, Any]) -> Any:
    """What a trained model of a config is measured by; see `experiments.evaluation`."""
    return importlib.import_module(EVALUATIONS[system(config["model"]["name"]).evaluation])


def data_of(config: Mapping[str, Any]) -> Any:
    """Where the batches of a config come from: a module with the functions of `experiments.run.clips`."""
    return importlib.import_module(DATA_KINDS[system(config["model"]["name"]).data])


def model_of(config: ConfigDict) -> nn.Module:
    """The model of a config's training: its backbone computes in `config.train.compute_dtype`.

    Raises:
      InputError: as `create_model`; the dtype is unknown, or the model has no backbone.
    """
    options, dtype = config.model.to_dict(), config.train.compute_dtype
    if dtype not in COMPUTE_DTYPES:
        raise InputError(f"config.train.compute_dtype={dtype!r} is unknown; use one of {', '.join(COMPUTE_DTYPES)}")
    if dtype != "float32":
        if "backbone" not in options:
            raise InputError(
                f"config.train.compute_dtype={dtype}: model {options['name']!r} has no backbone; use float32"
            )
        options["backbone"] = {**options["backbone"], "dtype": jnp.dtype(dtype)}
    with as_in_config("config", "model"):
        return create_model(options)

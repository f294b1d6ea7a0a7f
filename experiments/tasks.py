"""What a config's kind of model decides of its training: the loss, the weights of its terms, what the model is told."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from jmpose_jax import losses
from jmpose_jax.errors import InputError
from jmpose_jax.information import DEFAULT_ESTIMATORS, resolve_estimators

COMPUTE_DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Task:
    """The training task of a config.

    Attributes:
      config: the config, with the model told of what the loss needs of it.
      loss: output and batch -> {term: (sum, count)}.
      loss_weights: weight of every term, as the step takes them.
    """

    config: ConfigDict
    loss: Callable[[Any, Any], dict[str, Any]]
    loss_weights: dict[str, float]


def task_of(config: ConfigDict) -> Task:
    """The task that a config describes.

    Args:
      config: from a file in `configs/`.

    Raises:
      InputError: an unknown estimator or normalisation.
    """
    return (_flow if config.model.name == "raft" else _poses)(config)


def _flow(config: ConfigDict) -> Task:
    """Optical flow alone: the sequence loss."""
    loss = functools.partial(losses.flow_losses, gamma=config.loss.gamma)
    return Task(config, loss, dict(config.loss.weights))


def _poses(config: ConfigDict) -> Task:
    """Heatmaps, and the information terms where the model has what they need."""
    loss = functools.partial(
        losses.compute,
        sigma=config.loss.sigma,
        target=config.loss.target,
        temperature=config.loss.temperature,
        features=config.loss.features,
        estimators=dict(config.loss.estimators),
        normalization=config.loss.normalization,
    )
    weights = losses.term_weights(config.loss.weights, config.loss.alpha, config.loss.normalization)
    return Task(_with_estimators(config) if config.model.name == "jmpose" else config, loss, weights)


def _with_estimators(config: ConfigDict) -> ConfigDict:
    """The config with the model told of the estimators and features of the loss: its predictors depend on them.

    In units of the heatmap loss its predictors start with knowing nothing, which those units are made for.
    """
    told = config.copy_and_resolve_references()
    chosen = resolve_estimators(config.loss.estimators)
    with told.unlocked():
        # The defaults need nothing said, and checkpoints of before the choices existed go on.
        if chosen != DEFAULT_ESTIMATORS:
            told.model.estimators = ConfigDict(chosen)
        if config.loss.normalization == "heatmap_loss":
            told.model.predictor_init = "zeros"
        if config.loss.features != "raw":
            told.model.predictor_features = config.loss.features
    return told


def model_options(config: ConfigDict) -> dict[str, Any]:
    """`config.model` with a backbone that computes in `config.train.compute_dtype`.

    Raises:
      InputError: the dtype is unknown, or the model has no backbone.
    """
    options, dtype = config.model.to_dict(), config.train.compute_dtype
    if dtype not in COMPUTE_DTYPES:
        raise InputError(f"config.train.compute_dtype={dtype!r} is unknown; use one of {', '.join(COMPUTE_DTYPES)}")
    if dtype == "float32":
        return options
    if "backbone" not in options:
        raise InputError(f"config.train.compute_dtype={dtype}: model {options['name']!r} has no backbone; use float32")
    return options | {"backbone": {**options["backbone"], "dtype": jnp.dtype(dtype)}}

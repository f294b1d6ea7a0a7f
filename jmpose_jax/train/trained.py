"""Trained models from checkpoints: where one lies, its variables, the model ready to run."""

import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
from orbax.checkpoint import v1 as ocp

from jmpose_jax.checks import field, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train.checkpoints import FOLDER, NAMES, whole_steps
from jmpose_jax.train.reading import check_finite, reading


def find_checkpoint(path: str | os.PathLike, best: bool = False) -> pathlib.Path:
    """The folder of one checkpoint: the one given, or the latest (or best) of a workdir or its `checkpoints/`.

    Raises:
      InputError: nothing there is a checkpoint, or none was evaluated in training and the best is asked for.
    """
    start = pathlib.Path(path)
    if best:
        return _best_checkpoint(start)
    if not os.path.exists(start):  # False too where the name cannot be one
        raise InputError(f"checkpoint {start} does not exist")
    if (start / "variables").is_dir():
        return start
    if (start / "quickstart.json").is_file():
        start = start / "jmpose"  # a workdir of quickstart holds several runs, this one is what it is for
    folder = start / FOLDER if (start / FOLDER).is_dir() else start
    steps = whole_steps(folder)
    if not steps:
        raise InputError(
            f"{start} holds no checkpoint; give a workdir of `jmpose train` or an output of `jmpose convert`"
        )
    return folder / str(steps[-1])


def _best_checkpoint(start: pathlib.Path) -> pathlib.Path:
    workdir = start.parent if start.name == FOLDER else start
    path = workdir / NAMES
    names = read_json(path) if path.is_file() else {}
    best = field(names, "best", dict, str(path), {})
    if not best:
        raise InputError(f"{start} names no best checkpoint; train with evaluate_every, or use the latest one")
    return find_checkpoint(workdir / FOLDER / str(field(best, "step", int, f"{path}: best")))


def load_variables(
    path: str | os.PathLike, *, best: bool = False, ema: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and variables of a checkpoint, as NumPy-compatible arrays on the default device.

    Args:
      path: workdir, its `checkpoints/`, or one step's folder.
      best: of a workdir, the best of the checkpoints that were evaluated in training instead of the latest.
      ema: the moving average of the parameters instead of the parameters.

    Returns:
      (config, {"params": …, "batch_stats": …}).

    Raises:
      InputError: no or an unreadable checkpoint, or one without a moving average where that is asked for.
    """
    folder = find_checkpoint(path, best).resolve()
    items = ("variables", "ema") if ema else ("variables",)
    with reading(folder):
        metadata = ocp.checkpointables_metadata(folder)
        if ema and "ema" not in metadata.metadata:
            raise InputError(f"checkpoint {folder} has no moving average; train with ema_decay")
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=device),
            {name: metadata.metadata[name] for name in items},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            loaded = ocp.load_checkpointables(folder, abstract)
        variables = {**loaded["variables"], **loaded.get("ema", {})}
    config = (metadata.custom_metadata or {}).get("config")
    if not isinstance(config, Mapping):
        raise InputError(f"checkpoint {folder} does not say what model it is of; write it with `jmpose train`")
    check_finite(variables, folder)
    return config, variables


def load_model(
    path: str | os.PathLike, *, best: bool = False, ema: bool = False
) -> tuple[dict[str, Any], nn.Module, dict[str, Any]]:
    """A checkpoint ready to run.

    Args:
      path, best, ema: as in `load_variables`.

    Returns:
      (config, module, variables), the module being built from `config["model"]`.

    Raises:
      InputError: no or an unreadable checkpoint.
    """
    config, variables = load_variables(path, best=best, ema=ema)
    if not isinstance(config.get("model"), Mapping) or "name" not in config["model"]:
        raise InputError(f"checkpoint {find_checkpoint(path, best)}: its config names no model")
    return config, create_model(config["model"]), variables

"""Checkpoints: variables, optimiser, input position and config of a run, by Orbax.

A workdir holds `checkpoints/<step>/` with the item `variables` (what a model needs to run), the config it was built
from (in the metadata), and, while training, the items `optimizer` and `data` (the input position).
"""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train.state import TrainState, check_same_structure

FOLDER = "checkpoints"


@contextlib.contextmanager
def checkpointer(workdir: str | os.PathLike, *, keep: int = 1, keep_steps: Sequence[int] = ()) -> Iterator[Any]:
    """The Orbax checkpointer of a workdir; leaving the context waits for saves under way.

    Args:
      workdir: folder of the run; the checkpoints lie in its `checkpoints/`.
      keep: how many of the latest checkpoints stay.
      keep_steps: steps whose checkpoints stay for good.
    """
    policies = ocp.training.preservation_policies
    policy = policies.AnyPreservationPolicy([policies.LatestN(keep), policies.CustomSteps(list(keep_steps))])
    folder = pathlib.Path(workdir).resolve() / FOLDER
    with ocp.training.Checkpointer(folder, preservation_policy=policy, cleanup_tmp_directories=True) as manager:
        try:
            yield manager
        finally:
            manager.wait()


def save(manager: Any, state: TrainState, data: dict[str, Any], config: dict[str, Any]) -> None:
    """Start saving a run at the state's step, in the background; returns once the arrays are copied.

    A save still under way is waited for: where two overlap, Orbax 0.12.8 writes the later one wrongly or not at all.
    """
    manager.wait()
    items = {
        "variables": {"params": state.params, "batch_stats": state.batch_stats},
        "optimizer": {"step": state.step, "opt_state": state.opt_state},
        "data": data,
    }
    manager.save_checkpointables_async(int(state.step), items, custom_metadata={"config": config})


def restore(manager: Any, state: TrainState, sharding: Sharding, step: int | None = None) -> tuple[TrainState, dict]:
    """The run as it was saved.

    Args:
      manager: from `checkpointer`.
      state: a fresh state of the same model and optimiser; gives structure and shapes.
      sharding: where the arrays go.
      step: which checkpoint; the latest by default.

    Returns:
      The restored state and the position of the input.

    Raises:
      InputError: the checkpoint belongs to another model.
    """
    chosen = manager.latest.step if step is None else step
    where = pathlib.Path(str(manager.directory)) / str(chosen)
    fresh = {"params": state.params, "batch_stats": state.batch_stats}
    saved = manager.checkpointables_metadata(chosen).metadata["variables"]
    _check_variables(fresh, saved, where)
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        {"variables": fresh, "optimizer": {"step": state.step, "opt_state": state.opt_state}},
    )
    items = manager.load_checkpointables(chosen, {**abstract, "data": None})
    state = TrainState(**items["optimizer"], **items["variables"])
    return state, items["data"]


def _check_variables(expected: Any, found: Any, where: pathlib.Path) -> None:
    try:
        check_same_structure(expected, found, "variables")
    except ValueError as error:
        raise InputError(
            f"checkpoint {where} is of another model: {error}; use another workdir or the config it was trained with"
        ) from None


def save_variables(workdir: str | os.PathLike, variables: dict[str, Any], config: dict[str, Any]) -> None:
    """Write a model that is not being trained (a converted one, say) as step 0 of a workdir."""
    with checkpointer(workdir) as manager:
        manager.save_checkpointables(0, {"variables": variables}, overwrite=True, custom_metadata={"config": config})


def find_checkpoint(path: str | os.PathLike) -> pathlib.Path:
    """The folder of one checkpoint, from a workdir, its `checkpoints/`, or that folder itself.

    Raises:
      InputError: nothing there is a checkpoint.
    """
    start = pathlib.Path(path)
    if not start.exists():
        raise InputError(f"checkpoint {start} does not exist")
    if (start / "variables").is_dir():
        return start
    folder = start / FOLDER if (start / FOLDER).is_dir() else start
    steps = sorted((int(p.name), p) for p in folder.iterdir() if p.name.isdigit() and (p / "variables").is_dir())
    if not steps:
        raise InputError(
            f"{start} holds no checkpoint; give a workdir of `jmpose train` or an output of `jmpose convert`"
        )
    return steps[-1][1]


def load_variables(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and variables of a checkpoint, as NumPy-compatible arrays on the default device.

    Args:
      path: workdir, its `checkpoints/`, or one step's folder.

    Returns:
      (config, {"params": …, "batch_stats": …}).

    Raises:
      InputError: no or an unreadable checkpoint.
    """
    folder = find_checkpoint(path).resolve()
    try:
        metadata = ocp.checkpointables_metadata(folder)
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=device), metadata.metadata["variables"]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            variables = ocp.load_checkpointables(folder, {"variables": abstract})["variables"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"checkpoint {folder} cannot be read: {error}") from error
    config = (metadata.custom_metadata or {}).get("config")
    if config is None:
        raise InputError(f"checkpoint {folder} does not say what model it is of; write it with `jmpose train`")
    return config, variables


def load_model(path: str | os.PathLike) -> tuple[dict[str, Any], nn.Module, dict[str, Any]]:
    """A checkpoint ready to run.

    Args:
      path: workdir, its `checkpoints/`, or one step's folder.

    Returns:
      (config, module, variables), the module being built from `config["model"]`.

    Raises:
      InputError: no or an unreadable checkpoint.
    """
    config, variables = load_variables(path)
    return config, create_model(config["model"]), variables

"""Checkpoints: variables, optimiser, input position and config of a run, by Orbax.

A workdir holds `checkpoints/<step>/` with the item `variables` (what a model needs to run), the config it was built
from (in the metadata), and, while training, the items `optimizer` and `data` (the input position).
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
from absl import logging
from orbax.checkpoint import v1 as ocp

from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train import distributed
from jmpose_jax.train.guards import state_checksum
from jmpose_jax.train.state import TrainState, check_same_structure

FOLDER = "checkpoints"
DAMAGED = "damaged_checkpoints"


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
            wait(manager)


def wait(manager: Any) -> None:
    """Wait for the save under way.

    Raises:
      InputError: the disk is full; the checkpoints before are untouched.
    """
    with _told_of_full_disk(manager):
        manager.wait()


@contextlib.contextmanager
def _told_of_full_disk(manager: Any) -> Iterator[None]:
    """Turns what the libraries below say of a full disk, in their several ways, into one line."""
    try:
        yield
    except Exception as error:
        if not _is_full_disk(error):
            raise
        folder = pathlib.Path(str(manager.directory))
        steps = _steps(folder)
        last = f"step {steps[-1]} is whole" if steps else "there is none before"
        raise InputError(
            f"no space left to save a checkpoint in {folder}; {last}; free space and start the same command again"
        ) from error


def _is_full_disk(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if re.search(r"No space left|Disk quota exceeded|File too large", str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints that are whole, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit() and (p / "variables").is_dir())


def save(manager: Any, state: TrainState, data: dict[str, Any], config: dict[str, Any]) -> None:
    """Start saving a run at the state's step, in the background; returns once the arrays are copied.

    A save still under way is waited for: where two overlap, Orbax 0.12.8 writes the later one wrongly or not at all.
    """
    wait(manager)
    arrays = _arrays(state)
    metadata = {"config": config, "checksum": state_checksum(arrays)}
    with _told_of_full_disk(manager):
        manager.save_checkpointables_async(int(state.step), {**arrays, "data": data}, custom_metadata=metadata)


def _arrays(state: TrainState) -> dict[str, Any]:
    """The items of a checkpoint that are trees of arrays."""
    items = {
        "variables": {"params": state.params, "batch_stats": state.batch_stats},
        "optimizer": {"step": state.step, "opt_state": state.opt_state},
    }
    return items | ({"ema": {"params": state.ema}} if state.ema else {})


def restore_newest(
    manager: Any,
    state: TrainState,
    shardings: TrainState,
    check: Callable[[dict[str, Any]], None] = lambda config: None,
) -> tuple[TrainState, dict] | None:
    """The newest checkpoint that can be read; those that cannot are told of and moved to `damaged_checkpoints/`.

    Args:
      manager, state, shardings: as in `restore`.
      check: looks at the config that the checkpoint was written with and raises InputError where it does not suit.

    Returns:
      As `restore`; None where there is no checkpoint.

    Raises:
      InputError: the checkpoint belongs to another model, or none of them can be read.
    """
    found = sorted((checkpoint.step for checkpoint in manager.checkpoints), reverse=True)
    folder = pathlib.Path(str(manager.directory))
    for step in found:
        fault = None
        try:
            check(saved_config(manager, step))
            restored = restore(manager, state, shardings, step)
        except InputError:
            raise
        except Exception as error:  # Orbax, TensorStore and JSON each have their own
            fault = " ".join(str(error).split())[:200] or type(error).__name__
        if distributed.all_agree(fault is None):
            return restored
        logging.error("checkpoint %s is damaged (%s): moved to %s", folder / str(step), fault, folder.parent / DAMAGED)
        if jax.process_index() == 0:
            target = folder.parent / DAMAGED / str(step)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(exist_ok=True)
            (folder / str(step)).rename(target)
        distributed.barrier(f"moved damaged checkpoint {step}")
        manager.reload()
    if found:
        raise InputError(
            f"none of the checkpoints in {folder} can be read (steps {found}, now in {folder.parent / DAMAGED}); "
            "start again to train from the beginning"
        )
    return None


def restore(manager: Any, state: TrainState, shardings: TrainState, step: int) -> tuple[TrainState, dict]:
    """The run as it was saved.

    Args:
      manager: from `checkpointer`.
      state: a fresh state of the same model and optimiser; gives structure and shapes.
      shardings: where the arrays go, a tree like the state.
      step: which checkpoint.

    Returns:
      The restored state and the position of the input.

    Raises:
      InputError: the checkpoint belongs to another model.
      ValueError: what was read is not what was saved.
    """
    where = pathlib.Path(str(manager.directory)) / str(step)
    saved = manager.checkpointables_metadata(step)
    _check_variables({"params": state.params, "batch_stats": state.batch_stats}, saved.metadata["variables"], where)
    _check_optimizer(state.opt_state, saved.metadata["optimizer"]["opt_state"], where)
    abstract = jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), _arrays(state), _arrays(shardings)
    )
    if "ema" in abstract and "ema" not in saved.metadata:
        del abstract["ema"]  # averaging was turned on since: it starts from the parameters
    items = manager.load_checkpointables(step, {**abstract, "data": None})
    if "ema" in abstract:
        ema = items["ema"]["params"]
    else:
        ema = state.ema and jax.tree.map(jax.numpy.copy, items["variables"]["params"])
    restored = TrainState(**items["optimizer"], **items["variables"], ema=ema)
    expected = (saved.custom_metadata or {}).get("checksum")
    read = {name: items[name] for name in abstract}
    if expected is not None and set(abstract) == set(saved.metadata) - {"data"} and state_checksum(read) != expected:
        raise ValueError("the arrays' checksum is not the saved one")
    return restored, items["data"]


def saved_config(manager: Any, step: int) -> dict[str, Any]:
    """The config that a checkpoint was written with."""
    return (manager.checkpointables_metadata(step).custom_metadata or {}).get("config", {})


def _check_variables(expected: Any, found: Any, where: pathlib.Path) -> None:
    try:
        check_same_structure(expected, found, "variables")
    except ValueError as error:
        raise InputError(
            f"checkpoint {where} is of another model: {error}; use another workdir or the config it was trained with"
        ) from None


def _check_optimizer(expected: Any, found: Any, where: pathlib.Path) -> None:
    """The saved tree has lost the optimiser's own types; its shapes say enough."""
    shapes = [sorted(tuple(x.shape) for x in jax.tree.leaves(tree)) for tree in (expected, found)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"checkpoint {where} is of another optimiser; use another workdir or the config it was trained with"
        )


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

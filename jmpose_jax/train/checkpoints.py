"""Checkpoints: variables, optimiser, input position and config of a run, by Orbax.

A workdir holds `checkpoints/<step>/` with the item `variables` (what a model needs to run), the config it was built
from (in the metadata), and, while training, the items `optimizer` and `data` (the input position).
"""

import contextlib
import dataclasses
import json
import logging as stdlib_logging
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from absl import logging
from orbax.checkpoint import v1 as ocp

from jmpose_jax.errors import HostLost, InputError, NoSpace, is_full_disk
from jmpose_jax.files import write_text
from jmpose_jax.train import distributed
from jmpose_jax.train.guards import state_checksum
from jmpose_jax.train.reading import fault_of, hush, is_step, signal_first
from jmpose_jax.train.state import TrainState, check_same_structure

FOLDER = "checkpoints"
DAMAGED = "damaged_checkpoints"
NAMES = "checkpoints.json"


@dataclasses.dataclass(frozen=True)
class Best:
    """Which of the metrics that checkpoints are saved with says which of them is the best.

    Attributes:
      metric: its name.
      sign: 1 where more is better, -1 where less is.
    """

    metric: str = "ap"
    sign: int = 1

    def score(self, metrics: Mapping[str, float]) -> float:
        """The greater the better; a checkpoint without the metric, or for which it is no number, is never the best."""
        value = metrics.get(self.metric, math.nan)
        return self.sign * value if math.isfinite(value) else -math.inf


class _Checkpointer(ocp.training.Checkpointer):
    """Orbax's, which knows how its best checkpoint is found."""

    def __init__(self, folder: pathlib.Path, best: Best, **options: Any):
        super().__init__(folder, **options)
        self.best = best


@contextlib.contextmanager
def checkpointer(
    workdir: str | os.PathLike, *, keep: int = 1, keep_steps: Sequence[int] = (), best: Best = Best()
) -> Iterator[_Checkpointer]:
    """The Orbax checkpointer of a workdir; leaving the context waits for saves under way.

    Args:
      workdir: folder of the run; the checkpoints lie in its `checkpoints/`, and `checkpoints.json` names the latest and
        the best.
      keep: how many of the latest checkpoints stay; the best of those that were evaluated stays too.
      keep_steps: steps whose checkpoints stay for good.
      best: which metric tells.
    """
    policies = ocp.training.preservation_policies
    kept = policies.BestN(get_metric_fn=best.score, n=1, keep_checkpoints_without_metrics=False)
    policy = policies.AnyPreservationPolicy([policies.LatestN(keep), policies.CustomSteps(list(keep_steps)), kept])
    folder = pathlib.Path(workdir).resolve() / FOLDER
    with contextlib.ExitStack() as stack:
        logger = logging.get_absl_logger()
        logger.addFilter(_raised_anyway)
        stack.callback(logger.removeFilter, _raised_anyway)
        manager = _Checkpointer(folder, best, preservation_policy=policy, cleanup_tmp_directories=True)
        stack.callback(manager.close)
        stack.callback(wait, manager)
        before = [checkpoint.step for checkpoint in manager.checkpoints]
        try:
            yield manager
            wait(manager)
            if before != [checkpoint.step for checkpoint in manager.checkpoints]:
                write_names(manager)
        except HostLost:
            stack.pop_all()  # what is under way waits for the process that has gone
            raise


def _raised_anyway(record: Any) -> bool:
    """Leaves out the tracebacks, five of one fault, that Orbax logs of what `wait` then raises."""
    return record.levelno < stdlib_logging.ERROR or f"orbax{os.sep}checkpoint" not in record.pathname


def wait(manager: Any) -> None:
    """Wait for the save under way.

    Raises:
      NoSpace: the disk is full; the checkpoints before are untouched.
      HostLost: another process, without which the save cannot end, has gone.
    """
    with distributed.told_of_lost_host(), _told_of_full_disk(manager):
        manager.wait()


def write_names(manager: Any) -> None:
    """Write `checkpoints.json` of the workdir: the steps of the latest checkpoint and of the best one, if any."""
    if jax.process_index() != 0 or not manager.checkpoints:
        return
    names: dict[str, Any] = {"latest": {"step": manager.checkpoints[-1].step}}
    evaluated = [c for c in manager.checkpoints if c.metrics and math.isfinite(manager.best.score(c.metrics))]
    if evaluated:  # of equals the later, as the policy has it
        best = max(
            evaluated, key=lambda c: (manager.best.score(c.metrics), c.step)
        )  # of equals the later, as the policy has it
        finite = {name: value if math.isfinite(value) else None for name, value in best.metrics.items()}
        names["best"] = {"step": best.step, **finite}
    path = pathlib.Path(str(manager.directory)).parent / NAMES
    content = json.dumps(names, indent=1, allow_nan=False)
    if not path.is_file() or path.read_bytes() != content.encode():
        write_text(path, content)


@contextlib.contextmanager
def _told_of_full_disk(manager: Any) -> Iterator[None]:
    """Turns what the libraries below say of a full disk, in their several ways, into one line."""
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        folder = pathlib.Path(str(manager.directory))
        steps = whole_steps(folder)
        last = f"step {steps[-1]} is whole" if steps else "there is none before"
        raise NoSpace(
            f"no space left to save a checkpoint in {folder}; {last}; free space and start the same command again"
        ) from error


def whole_steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints that are whole, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if is_step(p.name) and (p / "variables").is_dir())


def save(
    manager: Any,
    state: TrainState,
    data: dict[str, Any],
    config: dict[str, Any],
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Start saving a run at the state's step, in the background; returns once the arrays are copied.

    Args:
      manager: from `checkpointer`.
      state: of the run.
      data: position of the input.
      config: of the run.
      metrics: of an evaluation of this state.

    A save still under way is waited for: where two overlap, Orbax 0.12.8 writes the later one wrongly or not at all.
    """
    wait(manager)
    write_names(manager)
    arrays = _arrays(state)
    metadata = {"config": config, "checksum": state_checksum(arrays)}
    with _told_of_full_disk(manager):
        manager.save_checkpointables_async(
            int(state.step), {**arrays, "data": data}, metrics=metrics and dict(metrics), custom_metadata=metadata
        )


def _arrays(state: TrainState) -> dict[str, Any]:
    """The items of a checkpoint that are trees of arrays."""
    items = {
        "variables": {"params": state.params, "batch_stats": state.batch_stats},
        "optimizer": {"step": state.step, "opt_state": state.opt_state},
    }
    return items | ({"ema": {"params": state.ema}} if state.ema else {})


@distributed.told_of_lost_host()
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
    hush()
    found = sorted((checkpoint.step for checkpoint in manager.checkpoints), reverse=True)
    folder = pathlib.Path(str(manager.directory))
    unfit: list[tuple[int, InputError]] = []  # of another model, or so damaged that they look like it
    for step in found:
        fault, other = None, None
        try:
            before = saved_config(manager, step)
            if not before:
                raise ValueError("its metadata cannot be read")
            check(before)
            try:
                restored = restore(manager, state, shardings, step)
            except InputError as error:
                fault, other = str(error), error
        except InputError:
            raise
        except Exception as error:  # Orbax, TensorStore and JSON each have their own
            signal_first()
            fault = fault_of(error)
        if distributed.all_agree(fault is None):
            for newer, _ in unfit:
                _set_aside(manager, newer, "its arrays are not those of the run, an older one's are")
            return restored
        if distributed.all_agree(other is not None):
            unfit.append((step, other))
        else:
            _set_aside(manager, step, fault or "another process cannot read it")
    if unfit:
        raise unfit[0][1]
    if found:
        raise InputError(
            f"none of the checkpoints in {folder} can be read (steps {found}, now in {folder.parent / DAMAGED}); "
            "start again to train from the beginning"
        )
    return None


def _set_aside(manager: Any, step: int, fault: str) -> None:
    """Move a checkpoint that cannot be used to `damaged_checkpoints/`, and say so; all processes together."""
    folder = pathlib.Path(str(manager.directory))
    logging.error("checkpoint %s is damaged (%s): moved to %s", folder / str(step), fault, folder.parent / DAMAGED)
    if jax.process_index() == 0:
        target = folder.parent / DAMAGED / str(step)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        (folder / str(step)).rename(target)
    distributed.barrier(f"moved damaged checkpoint {step}")
    manager.reload()


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
    complete = set(abstract) == set(saved.metadata) - {"data", "metrics"}
    if expected is not None and complete and state_checksum(read) != expected:
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

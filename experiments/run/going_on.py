"""What a training that goes on must share with the run that began: its config, its data set, and where it came from."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.configuration.changes import check_unchanged
from experiments.systems import data_of
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.progress import say
from jmpose_jax.train import checkpoints

FILE = "dataset.json"  # of a workdir: which data set it was trained on, wherever that lies now


@dataclasses.dataclass(frozen=True)
class Earlier:
    """Where a run stands.

    Attributes:
      step: of its newest checkpoint.
      config: that the checkpoint was written with.
    """

    step: int
    config: dict[str, Any]


def earlier(folder: pathlib.Path) -> Earlier | None:
    """The newest checkpoint of a workdir whose config can be read; None where there is none.

    Only its config is read: whether the arrays are whole is found when they are restored.
    """
    steps = (folder / checkpoints.FOLDER).glob("*/variables")
    if not any(path.parent.name.isdigit() for path in steps):
        return None  # opening the checkpoints would make their folder
    with checkpoints.checkpointer(folder) as manager:
        for step in sorted((checkpoint.step for checkpoint in manager.checkpoints), reverse=True):
            try:
                config = checkpoints.saved_config(manager, step)
            except Exception:  # Orbax and JSON each have their own; `restore_newest` tells of it
                continue
            if isinstance(config, Mapping) and config:
                return Earlier(step, dict(config))
    return None


def data_set(config: Mapping[str, Any]) -> dict[str, Any]:
    """The training split of a config as `dataset.json` holds it: where it lies, how large it is, and a digest."""
    return data_of(config).identity(config)


def check_goes_on(
    folder: pathlib.Path,
    before: Earlier,
    now: Mapping[str, Any],
    trained_on: Mapping[str, Any],
    allow: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Compare a run with its start of now, before anything heavy is made.

    Args:
      folder: workdir.
      before: of `earlier`.
      now: config of this start, as JSON would give it.
      trained_on: of `data_set`, for the config of now.
      allow: another config, or another data set, is what the user wants.
      quiet: say nothing of what is only to be known.

    Returns:
      The config that the run goes on with: that of now, but for `init`, which only a beginning reads.

    Raises:
      InputError: the config or the data set is another one.
    """
    if not allow:
        check_unchanged(before.config, now, quiet)
        _check_data_set(folder, before, trained_on, quiet)
    began, given = before.config.get("init", {}), now.get("init", {})
    unread = [f"config.init.{key}={value}" for key, value in given.items() if value and value != began.get(key, "")]
    if unread:
        say(
            f"{' and '.join(unread)} has no effect: the run is at step {before.step}, and only a fresh run reads it; "
            "use another workdir for that",
            not quiet,
        )
    return {**now, "init": {**given, **began}}


def _check_data_set(folder: pathlib.Path, before: Earlier, now: Mapping[str, Any], quiet: bool) -> None:
    """Refuse another data set than the run was trained on; say it where the same one lies elsewhere."""
    path, old = folder / FILE, before.config.get("dataset", {})
    try:
        # Runs of before that file: the data set may still lie where it was.
        then = checks.read_json(path) if path.is_file() else data_set(before.config)
        root, digest, clips = then["root"], then["sha256"], then["clips"]
    except (InputError, KeyError, TypeError):
        root, digest, clips = old.get("root", now["root"]), None, None
    moved = os.path.realpath(root) != os.path.realpath(now["root"])
    where = f"config.dataset.root: {root} -> {now['root']}" if moved else f"config.dataset.root={now['root']}"
    if digest is not None and digest != now["sha256"]:
        raise InputError(
            f"{where} is another data set than this workdir's run was trained on ({clips} clips then, {now['clips']} "
            f"now, or other people in them); use another workdir, or go on all the same with --allow_config_change"
        )
    if moved:
        known = "the same data set" if digest is not None else "whether it is the same data set cannot be told"
        say(f"{where}: {known}", not quiet)

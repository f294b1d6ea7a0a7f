"""Configs from files: a Python file with `get_config()`, or the `config.json` that a run left in its workdir."""

import dataclasses
import importlib.util
import inspect
import math
import os
import pathlib
import sys
import types
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import common
from experiments.configuration.changes import flatten
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.nearest import nearest_keys
from jmpose_jax.systems import SYSTEMS

SAVED = "config.json"
MODULE = "jmpose_config_"  # before the names of config files that are run
FIXED = ("seed", "dataset", "optimizer", "train", "eval")  # sections whose keys are the same for every model
CHOSEN = ("loss.weights.",)  # sections of which a config names what it wants
OPTIONAL = ("dataset.flow_stride", "dataset.augment.")
MEANT = 4  # keys that a message offers
EXAMPLE = "give a file of configs/, e.g. configs/jmpose.py:tiny"


def load(source: str) -> ConfigDict:
    """The config of a file.

    Args:
      source: `FILE.py` or `FILE.py:VARIANT`, or a `config.json`.

    Returns:
      The config, not locked.

    Raises:
      InputError: there is no such file, it fails, or what it gives is no config.
    """
    if source.endswith(".json"):
        return load_saved(source)
    path, variant = split_source(source)
    module = load_module(path)
    make = getattr(module, "get_config", None)
    if not callable(make):
        raise InputError(f"--config={path} has no function get_config(); {EXAMPLE}")
    if variant and not inspect.signature(make).parameters:
        raise InputError(f"--config={source}: get_config() takes no variant; leave {':' + variant!r} out")
    config = call(make, source, *([variant] if variant else []))
    if isinstance(config, Mapping):
        config = ConfigDict(config)
    if not isinstance(config, ConfigDict):
        raise InputError(f"--config={source}: get_config() gives {_short(config)}; it must give a ConfigDict")
    check(config, f"--config={source}")
    return config


def split_source(source: str) -> tuple[str, str]:
    """File and variant of what `--config` says."""
    if os.path.exists(source):  # a colon in the file's own name
        return source, ""
    path, _, variant = source.partition(":")
    return path, variant


def load_module(path: str) -> types.ModuleType:
    """The module of a config file.

    Raises:
      InputError: there is no such file, or running it fails.
    """
    file = pathlib.Path(path)
    if file.is_dir():
        inside = f", or its {SAVED} as --config={file / SAVED}" if (file / SAVED).is_file() else ""
        raise InputError(f"--config={path} is a folder; {EXAMPLE}{inside}")
    if not file.exists():
        raise InputError(f"--config={path}: no such file; {EXAMPLE}")
    if file.suffix != ".py":
        raise InputError(f"--config={path} is neither a Python file nor a {SAVED}; {EXAMPLE}")
    name = f"{MODULE}{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    call(spec.loader.exec_module, path, module)
    return module


def call(function: Any, source: str, *arguments: Any) -> Any:
    """What a function of a config file returns.

    Raises:
      InputError: with what it raised, and the line where that is not meant for the user.
    """
    try:
        return function(*arguments)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        line, own = _line(error)
        if isinstance(error, ValueError) and own and str(error):
            raise InputError(f"--config={source}: {error}") from error  # what configs say of a variant
        place = "" if line is None else f" (line {line})"
        raise InputError(f"--config={source} fails: {type(error).__name__}: {error}{place}") from error


def _line(error: BaseException) -> tuple[int | None, bool]:
    """The line of the config file that an exception came from or through, and whether that line raised it itself."""
    trace, line, own = error.__traceback__, None, False
    while trace is not None:
        own = trace.tb_frame.f_globals.get("__name__", "").startswith(MODULE)
        line = trace.tb_lineno if own else line
        trace = trace.tb_next
    return line, own


def load_saved(path: str | os.PathLike) -> ConfigDict:
    """The config that a run left in its workdir: lists are tuples again, keys that came later have their defaults.

    Raises:
      InputError: the file cannot be read, or is no config of a run.
    """
    content = checks.read_json(path)
    where = f"{path}: no config of a run"
    name = checks.field(checks.field(content, "model", dict, where), "name", str, where)
    config = ConfigDict(_tuples(content))
    for key, default in flatten(_base(name)):
        _fill(config, key, default, where)
    _check_finite(config, str(path))
    return config


def _base(model: str) -> dict[str, Any]:
    """The keys that every config of a model has, with their defaults."""
    if model not in SYSTEMS:
        return common.base().to_dict() | {"init": {}}
    base = common.BASES[SYSTEMS[model].data]().to_dict() | {"init": {}}
    objective = dataclasses.asdict(SYSTEMS[model].objective())
    return base | {"loss": {key: {} if key == "weights" else value for key, value in objective.items()}}


def _fill(config: ConfigDict, key: str, default: Any, where: str) -> None:
    """Give a key its default where it lacks, and refuse it where it has another type."""
    *sections, name = key.split(".")
    node = config
    for section in sections:
        if section not in node:
            node[section] = ConfigDict()
        node = node[section]
        if not isinstance(node, ConfigDict):
            raise InputError(f"{where}: {section!r} must be an object, found {_short(node)}")
    value = node.get(name, default)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise InputError(f"{where}: {key!r} must be {_short(default)} or the like, found {_short(value)}")
    with node.ignore_type():
        node[name] = value


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    if isinstance(value, dict):
        return {str(k): _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def check(config: ConfigDict, where: str) -> None:
    """Raises InputError where a config file forgot a key, made one up, or gives a number that is none."""
    found = config.to_dict()
    model = found.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        raise InputError(f"{where}: the config has no model.name; begin with configs.common.base(), as configs/ do")
    known = dict(flatten(_base(model["name"])))
    given = dict(flatten(found))
    missing = [key for key in known if key not in given and not key.startswith(CHOSEN)]
    if missing:
        raise InputError(
            f"{where}: the config lacks {len(missing)} keys, such as {', '.join(missing[:3])}; "
            "begin with configs.common.base(), as configs/ do"
        )
    for key in given:
        if key.split(".")[0] in FIXED and key not in known and not key.startswith(OPTIONAL):
            raise InputError(f"{where}: nothing reads config.{key}{did_you_mean(key, known)}")
    _check_finite(config, where)


def _check_finite(config: ConfigDict, where: str) -> None:
    for key, value in flatten(config.to_dict()):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where}: config.{key} is {value}; give a finite number")


def did_you_mean(key: str, known: Any) -> str:
    """The end of a message on an unknown key."""
    near = " or ".join(repr(found) for found in nearest_keys(key, known)[:MEANT])
    return f"; did you mean {near}?" if near else "; `jmpose config --config=FILE` lists all keys"


def beside(place: str | os.PathLike) -> pathlib.Path | None:
    """The `config.json` of a workdir, or of the run whose checkpoint (or folder of checkpoints) a path is."""
    place = pathlib.Path(os.path.abspath(place))
    folders = [place]
    if place.name == "checkpoints" or (place / "variables").is_dir():
        folders += [place.parent] + ([place.parent.parent] if place.parent.name == "checkpoints" else [])
    return next((folder / SAVED for folder in folders if (folder / SAVED).is_file()), None)


def runs_below(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The workdirs of runs in a quickstart's or a grid's folder."""
    folder = pathlib.Path(folder)
    return sorted(path.parent for pattern in ("*", "cells/*") for path in folder.glob(f"{pattern}/{SAVED}"))


def where_runs_are(folder: str | os.PathLike) -> str:
    """The end of a message on a folder that holds runs instead of being one; empty where it holds none."""
    runs = [str(run) for run in runs_below(folder)]
    more = f" and {len(runs) - 4} more" if len(runs) > 4 else ""
    return f"; it holds the runs {', '.join(runs[:4])}{more}: give one of them" if runs else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

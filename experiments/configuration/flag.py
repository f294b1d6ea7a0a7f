"""The flag `--config`, its overrides `--config.KEY=VALUE`, and how the commands read their flags.

The overrides are read here and not by absl, so that they also change the config that a workdir holds, and so that a
fault names the key in the whole config that was meant.
"""

import ast
import math
import os
import re
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import tuple_parser

from configs import common
from experiments.command.given import required
from experiments.configuration import files as config_files
from jmpose_jax.errors import InputError

_OVERRIDE = re.compile(r"--?(?P<no>no)?config\.(?P<key>[^=]*)(?:=(?P<value>.*))?", re.DOTALL)
_KINDS = {bool: "true or false", int: "an integer", float: "a number", tuple: "a tuple, e.g. (1, 2)"}
_PARSERS = {
    bool: flags.BooleanParser(),
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
    tuple: tuple_parser.TupleParser(),
    str: flags.ArgumentParser(),
}


class ConfigFlag(flags.Flag):
    """`--config`: the name of a file while the flags are read, the ConfigDict afterwards.

    Attributes:
      config_filename: the file, with the variant.
      saved_in: flags whose folders may hold a run's `config.json`, taken in this order where `--config` is not given.
      unless: no config is looked for where this flag is given.
    """

    def __init__(self, help_string: str, saved_in: Sequence[str], unless: str | None):
        super().__init__(flags.ArgumentParser(), flags.ArgumentSerializer(), "config", None, help_string)
        self.config_filename: str | None = None
        self.saved_in, self.unless = tuple(saved_in), unless

    def serialize(self) -> str:
        return f"--config={self.config_filename}" if self.config_filename else ""


def define_config(
    help_string: str, saved_in: Sequence[str] = (), unless: str | None = None
) -> flags.FlagHolder[ConfigDict]:
    """Define `--config`; see ConfigFlag. Its value is a locked ConfigDict, or None where there is none."""
    if saved_in:
        places = " or ".join(f"--{name}" for name in saved_in)
        help_string += f" Without it the config.json of the run is taken that {places} names."
    return flags.DEFINE_flag(ConfigFlag(help_string, saved_in, unless))


def required_config(config: flags.FlagHolder[ConfigDict], *others: flags.FlagHolder) -> None:
    """Raises InputError that names all flags that are missing, and why no config was found."""
    if config.value is not None or any(flag.value in (None, "") for flag in others):
        required(config, *others)
        return
    flag = flags.FLAGS["config"]
    looked = [f"--{name}={flags.FLAGS[name].value}" for name in flag.saved_in if flags.FLAGS[name].value]
    folder = flags.FLAGS[flag.saved_in[-1]].value
    if not looked:
        required(config, *others)
    below = config_files.where_runs_are(folder) if folder else ""
    raise InputError(
        f"--config is missing, and {' and '.join(looked)} {'has' if len(looked) == 1 else 'have'} no "
        f"{config_files.SAVED} of a run{below or f'; {config_files.EXAMPLE}, as --config'}"
    )


def read_flags(argv: list[str]) -> list[str]:
    """Read the flags of a command, its config among them.

    Args:
      argv: program name and flags.

    Returns:
      Program name and what is no flag.

    Raises:
      InputError: a flag, the config's file or an override is at fault.
    """
    try:
        flag = flags.FLAGS["config"] if "config" in flags.FLAGS else None  # noqa: SIM401 (absl has another get)
        if not isinstance(flag, ConfigFlag):
            return flags.FLAGS(argv)
        argv = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)
        argv, given = split_overrides(argv)
        rest = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        raise InputError(_meant_for_config(error.flagname) or str(error)) from error
    except flags.Error as error:
        raise InputError(str(error)) from error
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{type(error).__name__} while reading the flags: {error}") from error
    try:
        return _with_config(flag, rest, given)
    except OSError as error:
        raise InputError(f"--config: {error.strerror}: {error.filename}; check the path and its permissions") from error


def _meant_for_config(name: str) -> str:
    """What to say of an unknown flag that is a key of configs, with its section or without; "" of any other."""
    known = [key for key, _ in config_files.flatten(common.base().to_dict())]
    sections = {key.split(".")[0] for key in known} | {"model"}
    if name.split(".")[0] in sections and "." in name:
        meant = [name]
    else:
        meant = [key for key in known if key.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    offered = " or ".join(f"--config.{key}" for key in meant[: config_files.MEANT])
    return f"--{name} is no flag; did you mean {offered}?" if offered else ""


def _with_config(flag: ConfigFlag, rest: list[str], given: dict[str, str | bool]) -> list[str]:
    """Put the config that the flags name, with its overrides, in the place of its name."""
    source = flag.value if flag.value is not None else _saved(flag)
    if source is None:
        if given:
            key = next(iter(given))
            raise InputError(f"--config.{key}: there is no config to change; give --config=FILE as well")
        return rest
    config = config_files.load(str(source))
    override(config, given)
    config.lock()
    flag.config_filename, flag.value = str(source), config
    return rest


def _saved(flag: ConfigFlag) -> str | None:
    """The `config.json` that the other flags lead to."""
    if flag.unless is not None and flags.FLAGS[flag.unless].value is not None:
        return None
    for place in (flags.FLAGS[name].value for name in flag.saved_in):
        found = config_files.beside(place) if place else None
        if found is not None:
            return os.path.relpath(found) if not os.path.isabs(place) else str(found)
    return None


def split_overrides(argv: Sequence[str]) -> tuple[list[str], dict[str, str | bool]]:
    """Part `--config.KEY=VALUE` from the other arguments.

    Returns:
      The others; flat key -> text of the value, or True and False of flags without one.

    Raises:
      InputError: a key is given twice.
    """
    rest, given, index = list(argv[:1]), {}, 1
    while index < len(argv):
        argument = argv[index]
        index += 1
        if argument == "--":
            rest += argv[index - 1 :]
            break
        found = _OVERRIDE.fullmatch(argument)
        if found is None:
            rest.append(argument)
            continue
        key, value = found["key"], found["value"]
        if value is None and not found["no"] and index < len(argv) and not re.match(r"--?[A-Za-z]", argv[index]):
            value = argv[index]
            index += 1
        if key in given:
            raise InputError(f"--config.{key} is given 2 times and takes one value; give it once")
        if found["no"] and value is not None:
            raise InputError(f"{argument}: --noconfig.{key} takes no value")
        given[key] = not found["no"] if value is None else value
    return rest, given


def override(config: ConfigDict, given: dict[str, str | bool]) -> None:
    """Change values of a config, in place.

    Args:
      config: not locked.
      given: from `split_overrides`.

    Raises:
      InputError: the config has no such key, or the value is of another type.
    """
    for key, text in given.items():
        node, name = _place(config, key)
        shown = f"--config.{key}" if isinstance(text, bool) else f"--config.{key}={text}"
        node[name] = _value(node, name, text, shown)
        if isinstance(node[name], ConfigDict):
            config_files.check(config, shown)


def _place(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """The section that holds a key, and the key's name in it."""
    node, parts = config, key.split(".")
    for part in parts[:-1]:
        node = node[part] if isinstance(node, ConfigDict) and part in node else None
    if not isinstance(node, ConfigDict) or parts[-1] not in node:
        known = [name for name, _ in config_files.flatten(config.to_dict())]
        raise InputError(f"--config.{key}: the config has no key {key!r}{config_files.did_you_mean(key, known)}")
    return node, parts[-1]


def _value(node: ConfigDict, name: str, text: str | bool, shown: str) -> Any:
    """The value that a text stands for, of the type that the config has."""
    kind = node.get_type(name)
    if isinstance(text, bool):
        if kind is not bool:
            raise InputError(f"{shown} has no value; write {shown.replace('--noconfig', '--config')}=VALUE")
        return text
    if issubclass(kind, ConfigDict):
        return _section(text, shown, node[name])
    parser = _PARSERS.get(kind)
    try:
        # What has a type that no config of ours has (None, a list) takes any literal that suits it.
        value = parser.parse(text) if parser else ast.literal_eval(text)
        if isinstance(value, tuple):
            value = _like(value, node[name])
        ConfigDict({name: node[name]})[name] = value
    except (ValueError, TypeError, SyntaxError) as error:
        why = "" if kind in (bool, int, float) else f" ({error})"
        raise InputError(f"{shown} must be {_KINDS.get(kind, kind.__name__)}{why}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{shown} must be a finite number")
    return value


def _like(value: tuple, current: Any) -> tuple:
    """A tuple whose elements are of the kind that the present ones are of, where those are alike."""
    kinds = {type(element) for element in current} if isinstance(current, tuple) else set()
    if len(kinds) != 1:
        return value
    (kind,) = kinds
    if kind is float:
        value = tuple(float(x) if type(x) is int else x for x in value)
    wrong = [x for x in value if type(x) is not kind or (kind is float and not math.isfinite(x))]
    if wrong:
        raise ValueError(f"its elements must be {kind.__name__}, found {wrong[0]!r}")
    return value


def _section(text: str, shown: str, current: ConfigDict) -> ConfigDict:
    """A whole section, given as a dict."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        keys = ", ".join(str(name) for name in current)
        raise InputError(f"{shown}: this is a section; set one of its keys ({keys}), or give a dict")
    return ConfigDict(found)

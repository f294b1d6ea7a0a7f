"""The flag that says what becomes of an earlier run's results, alike for all commands."""

import os
import pathlib
from collections.abc import Iterable, Sequence

from absl import flags

from jmpose_jax.errors import InputError
from jmpose_jax.files import IF_EXISTS, check_inputs_kept, check_writable, place_results


def define_if_exists(
    default: str = "refuse", of: str = "", number: str = "write beside them, under the next free number"
) -> flags.FlagHolder[str]:
    """Define `--if_exists`; its value goes to `files.place_results`.

    Args:
      default: its value where it is not given.
      of: says before its help what it is about.
      number: what the command does with that value.
    """
    return flags.DEFINE_enum(
        "if_exists",
        default,
        list(IF_EXISTS),
        f"{of}{': ' if of else ''}Where results of an earlier run are there: refuse; number: {number}; "
        "replace: replace them.",
    )


def place_folder(
    path: str | os.PathLike, names: Sequence[str], if_exists: str, inputs: Iterable[str | os.PathLike]
) -> pathlib.Path:
    """The folder for a command's results, checked before its work: it can be written to, and nothing is lost in it.

    Args:
      path: the folder.
      names: of the results.
      if_exists: what becomes of earlier ones, see `files.place_results`.
      inputs: files that are read, which no result may replace.

    Raises:
      InputError: the place cannot be written to, or an input or an earlier result would be replaced.
    """
    inputs = list(inputs)
    check_writable(path)
    if if_exists != "number":
        check_inputs_kept(inputs, [pathlib.Path(path) / name for name in names])
    folder = place_results(path, names, if_exists)
    check_inputs_kept(inputs, [folder / name for name in names])
    return check_writable(folder)


def place_file(path: str | os.PathLike, if_exists: str, flag: str = "--output") -> pathlib.Path:
    """Where a command's one file goes, checked before its work: it can be written, and replaces nothing unasked.

    Args:
      path: the file.
      if_exists: what becomes of an earlier one, see `files.place_results`.
      flag: that named it, for the message.

    Raises:
      InputError: a folder is there, the place cannot be written to, or an earlier file is to be kept.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(f"{flag}={path}: a folder is there; give the name of a file")
    check_writable(path.parent, flag)
    return place_results(path, (), if_exists, flag)

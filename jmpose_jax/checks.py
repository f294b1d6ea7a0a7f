"""Reading JSON whose author we do not know: every fault becomes one line that names the file and the place in it."""

import codecs
import collections
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError

LIMIT = 3e38  # about the largest float32: what is stored as one must stay finite
_MISSING = object()
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a text file, without the byte-order mark that editors of other systems put before it.

    Raises:
      InputError: naming the file, where it cannot be read.
    """
    try:
        return pathlib.Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except ValueError as error:  # a path that no file can have
        raise InputError(f"{path}: cannot be read ({error}); check the path") from error


def read_json(path: str | os.PathLike, unique: bool = False) -> Any:
    """The content of a JSON file.

    Args:
      path: the file.
      unique: refuse an object that has a key twice, of which else the last one counts.

    Returns:
      Dicts, lists, strings and numbers.

    Raises:
      InputError: naming the file, and line and column where it is malformed or ends too early.
    """
    data = read_bytes(path)
    try:
        return json.loads(data, object_pairs_hook=_unique(path) if unique else None)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: not valid JSON (line {error.lineno} column {error.colno}: {error.msg}); "
            "the file may be cut off, download or copy it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); the file is damaged") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); download or copy the file again") from error


def _unique(path: str | os.PathLike) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            twice = collections.Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{path}: an object has the key {_short(twice)} twice; remove one, or join the two")
        return content

    return read


def begins_with_mark(path: str | os.PathLike) -> bool:
    """Whether a file begins with the byte-order mark of UTF-8, which `read_json` passes over."""
    with open(path, "rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def field(mapping: Any, key: str, kind: type, where: str, default: Any = _MISSING) -> Any:
    """One typed entry of a JSON object.

    Args:
      mapping: what should be the object.
      key: the entry's name.
      kind: dict, list, str, int, float or bool; an int passes for a float, a whole float for an int, 0, 1 for a bool;
        object where anything may stand that is not null.
      where: file and place, the start of the message.
      default: returned where the key is missing or null; without it a missing key is a fault.

    Returns:
      The entry, of type `kind`.

    Raises:
      InputError: where the key is missing or of another type.
    """
    if not isinstance(mapping, dict):
        raise InputError(f"{where}: expected an object with the key {key!r}, found {_short(mapping)}")
    value = mapping.get(key)
    if value is None:
        if default is _MISSING:
            raise InputError(f"{where}: key {key!r} is missing; the file is not of the expected form")
        return default
    return typed(value, kind, f"{where}: {key!r}")


def typed(value: Any, kind: type, where: str) -> Any:
    """`value` as `kind` (see `field`), or InputError that says what was found at `where`."""
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and _finite(value):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    if kind is bool and isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    if kind is object or (kind in (dict, list, str) and isinstance(value, kind)):
        return value
    name = "a finite number" if kind is float and isinstance(value, (int, float)) else _NAMES[kind]
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        name = "an integer of at most 63 bits"
    raise InputError(f"{where} must be {name}, found {_short(value)}")


def numbers(value: Any, length: int | None, where: str) -> list[float]:
    """A JSON list of finite numbers, of exactly `length` entries where that is given."""
    entries = typed(value, list, where)
    values = _plain(entries)
    if values is None:  # slowly, to find the entry at fault
        values = [typed(entry, float, f"{where}[{i}]") for i, entry in enumerate(entries)]
    if length is not None and len(values) != length:
        raise InputError(f"{where} has {len(values)} numbers, {length} are expected; correct or remove the entry")
    return values


def finite(value: Any, where: str) -> Any:
    """`value`, a JSON value of any form, where no number in it is NaN, infinite or too large; else InputError."""
    if isinstance(value, dict):
        for key, entry in value.items():
            finite(entry, f"{where}[{key!r}]")
    elif isinstance(value, list):
        if _plain(value) is None:
            for i, entry in enumerate(value):
                finite(entry, f"{where}[{i}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        typed(value, float, where)
    return value


def file_name(value: str, where: str) -> str:
    """`value` where it can name a file inside the data set's folder; `where` starts the message of a fault."""
    parts = value.split("/")
    if not value.strip() or "\0" in value or any(len(part.encode(errors="replace")) > 200 for part in parts):
        raise InputError(f"{where} cannot be the name of an image, found {_short(value)}; correct it")
    if value.startswith("/") or ".." in parts:
        raise InputError(f"{where} leads out of the data set's folder, found {_short(value)}; give a path inside it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where} is not text in UTF-8, found {_short(value)}; correct it") from error
    return value


def _plain(entries: list[Any]) -> list[float] | None:
    """A list of numbers that are all sound, at once: files hold millions of them. None where one might not be."""
    if not {type(entry) for entry in entries} <= {int, float}:
        return None
    try:
        array = np.asarray(entries, np.float64)
    except OverflowError:
        return None
    return array.tolist() if (np.abs(array) < LIMIT).all() else None  # NaN is not less either


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value) and abs(value) < LIMIT
    except OverflowError:  # an integer beyond the range of a double
        return False


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

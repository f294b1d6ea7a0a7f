"""Numbers as files of poses hold them: read strictly, and written with the fewest digits that give them back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jmpose_jax.boxes.values import absent, plain
from jmpose_jax.errors import InputError


def triples(value: Any, joints: int | None, where: str) -> np.ndarray:
    """A JSON list of three numbers a joint.

    Args:
      value: what stands there; null and NaN are numbers that are missing.
      joints: K, None where any will do.
      where: the start of messages.

    Returns:
      float64 [K, 3].

    Raises:
      InputError: no such list.
    """
    row = number_list(value, where)
    if len(row) % 3 or not len(row) or (joints is not None and len(row) != 3 * joints):
        wanted = "3 for each joint" if joints is None else f"{3 * joints}, as in the poses before it"
        raise InputError(f"{where} has {len(row)} numbers, expected {wanted}; correct or remove the entry")
    return row.reshape(-1, 3)


def number_list(value: Any, where: str) -> np.ndarray:
    """float64 of a JSON list of numbers, null as NaN; raises InputError for anything else."""
    if not isinstance(value, list) or not {type(entry) for entry in value} <= {int, float, type(None)}:
        raise InputError(f"{where} must be a list of numbers; correct or remove the entry")
    try:
        return np.array(value, np.float64)
    except OverflowError as error:
        raise InputError(f"{where} holds a number that is too large; correct or remove the entry") from error


def cell_number(text: str, where: str) -> float:
    """The number in a cell of a table, NaN where it is empty or a program's word for nothing."""
    try:
        return float(text)  # the usual case, and "nan"
    except ValueError:
        value = math.nan if absent(text) else plain(text)
        if isinstance(value, (int, float)):
            return float(value)
    raise InputError(f"{where} must be a number or empty, found {text[:40]!r}; correct it")


def cell(value: float, before: str = "") -> str:
    """A number for a cell: what stood there before where the number is missing, or the same."""
    if math.isnan(value) or (before and cell_number(before, "") == value):
        return before
    return repr(float(value))


def header_places(header: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The places of columns: by meaning the first of its names that the header has, in any case of letters."""
    names = [name.strip().lower() for name in header]
    found = {}
    for meaning, known in wanted.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            found[meaning] = place
    return found

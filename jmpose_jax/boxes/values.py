"""Typed values of a box file. A number written as text ("7", "0.9") is that number, in every place alike."""

import re
from typing import Any

from jmpose_jax.checks import typed
from jmpose_jax.errors import InputError

PERSON = 1
PERSONS = ("person", "persons", "pedestrian", "pedestrians", "people", "human", "humans")
_ABSENT = ("", "none", "null", "nan", "n/a", "na")  # what programs write into a table where there is nothing
# What a float32 and the sums of two of them hold, with room; no image is that large.
LARGEST = 1e9
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def plain(value: Any) -> Any:
    """A number for text that is one (of at most 40 characters), everything else as it is."""
    if isinstance(value, str) and len(value) <= 40 and _DECIMAL.fullmatch(text := value.strip()):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return value


def number(value: Any, where: str) -> float:
    """A finite number, from a number or its text; raises InputError that starts with `where`."""
    found = typed(plain(value), float, where)
    if abs(found) > LARGEST:
        raise InputError(f"{where} is {found:g}, which no image is large enough for; correct or remove the entry")
    return found


def box(value: Any, where: str, corners: bool = False) -> tuple[float, float, float, float]:
    """A box (x, y, width, height) from a list of four numbers, with `corners` of (left, top, right, bottom)."""
    values = typed(value, list, where)
    if len(values) != 4:
        raise InputError(f"{where} has {len(values)} numbers, 4 are expected; write x, y, width, height")
    x, y, w, h = (number(v, f"{where}[{i}]") for i, v in enumerate(values))
    return (x, y, w - x, h - y) if corners else (x, y, w, h)


def whole(value: Any, where: str) -> int:
    """A whole number from 0, from a number or its text; raises InputError that starts with `where`."""
    found = typed(plain(value), int, where)
    if found < 0:
        raise InputError(f"{where} must be an integer from 0, found {found}; correct it")
    return found


def absent(value: Any) -> bool:
    """Whether a cell or an entry holds nothing: null, or what programs write for it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT)


def called_person(name: str) -> bool:
    """Whether the name of a category is one of people's."""
    return name.strip().lower() in PERSONS


def image_size(width: Any, height: Any, where: str) -> tuple[int, int] | None:
    """(width, height) of an image; None where one of them is absent, or 0 as some programs write for it."""
    if absent(width) or absent(height):
        return None
    size = whole(width, f"{where}: the image's width"), whole(height, f"{where}: the image's height")
    return size if all(size) else None


def track(value: Any, where: str) -> int | str | None:
    """An identity: a number from 0, a text, or None where it is not known (absent, or -1 as in MOT files)."""
    value = plain(value)
    if absent(value) or (value == -1 and not isinstance(value, bool)):
        return None
    return value.strip() if isinstance(value, str) else whole(value, where)


def is_person(value: Any, where: str, persons: tuple[int, ...] = (PERSON,)) -> bool:
    """Whether a category is that of people: one of the numbers `persons`, or the word."""
    value = plain(value)
    if isinstance(value, str):
        return called_person(value)
    return typed(value, int, where) in persons

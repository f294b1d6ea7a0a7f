"""Which frames the rows of a table are, by their labels: numbers, or names of pictures that hold one."""

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmpose_jax.boxes.values import plain
from jmpose_jax.errors import InputError

NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)
LARGEST = 2**62  # of a frame's number
Label = tuple[Any, ...]  # cells of one row; the last one is the frame's


@dataclasses.dataclass(frozen=True)
class RowLabels:
    """The labels of a table's rows.

    Attributes:
      numbers: int64 [rows], the frames, each once.
      notes: what was assumed, for the user.
    """

    numbers: np.ndarray
    notes: tuple[str, ...]
    _folder: Label
    _before: str | None
    _width: int
    _after: str
    _kind: type

    def of(self, number: int) -> Label:
        """The label of a row that is added."""
        if self._before is None:
            return (*self._folder, self._kind(number))
        return (*self._folder, f"{self._before}{str(number).zfill(self._width)}{self._after}")


def read_labels(path: Any, labels: Sequence[Label]) -> RowLabels:
    """The frames of rows.

    Args:
      path: for messages.
      labels: of the rows, at least one. Whole numbers (0, 0.0, their text) are frames; so is the last number in names
        of pictures that differ in nothing else. Rows of other labels are consecutive frames, with a note.

    Raises:
      InputError: two rows have one label or number, a number is below 0, or the rows are of several folders.
    """
    folders = {label[:-1] for label in labels}
    last = [label[-1] for label in labels]
    if all(isinstance(value, str) for value in last):
        folders = {(*label[:-1], os.path.dirname(label[-1])) for label in labels}
    if len(folders) > 1:
        raise InputError(f"{path}: its rows are of {len(folders)} folders of pictures; give one file a video")
    folder, values = labels[0][:-1], [plain(value) for value in last]
    if all(_is_whole(value) for value in values):
        found = [int(value) for value in values]
        kind = float if any(isinstance(value, float) for value in values) else int
        _check(path, found)
        if isinstance(last[0], str):  # a new label is text too, with as many leading zeros
            width = len(last[0]) if last[0].isdigit() and last[0].startswith("0") else 0
            return RowLabels(np.array(found, np.int64), (), folder, "", width, ".0" if kind is float else "", str)
        return RowLabels(np.array(found, np.int64), (), folder, None, 0, "", kind)
    split = [_split(value) for value in last]
    if all(split) and len({(name[0], name[2]) for name in split}) == 1:
        before, digits, after = split[0]
        found = [int(number) for _, number, _ in split]
        _check(path, found)
        return RowLabels(np.array(found, np.int64), (), folder, before, len(digits), after, str)
    if len(set(last)) < len(last):
        raise InputError(f"{path}: has two rows of one label; remove one")
    note = f"{len(last)} rows are taken for consecutive frames: their labels are no numbers"
    return RowLabels(np.arange(len(last)), (note,), folder, None, 0, "", int)


def _is_whole(value: Any) -> bool:
    return not isinstance(value, (bool, np.bool_)) and (
        isinstance(value, (int, np.integer)) or (isinstance(value, (float, np.floating)) and float(value).is_integer())
    )


def _split(name: Any) -> tuple[str, str, str] | None:
    """A name before, at and behind its last number, the ending left out of the search."""
    if not isinstance(name, str):
        return None
    stem, ending = os.path.splitext(name)
    found = NUMBERED.fullmatch(stem)
    return (found[1], found[2], found[3] + ending) if found and len(found[2]) < 40 else None


def _check(path: Any, numbers: list[int]) -> None:
    if not 0 <= min(numbers) <= max(numbers) < LARGEST:
        raise InputError(f"{path}: its rows are numbered {min(numbers)} to {max(numbers)}, expected frames from 0")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{path}: has two rows for one frame; remove one")

"""What the file names of a video's frames say: their order in time, and which frame of another file is the same."""

import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from jmpose_jax.errors import InputError


def number_of(file_name: str, place: int) -> int:
    """The frame's place in time: the number that its file is named by, else its place in the list."""
    stem = pathlib.PurePosixPath(file_name).stem
    return int(stem) if re.fullmatch("[0-9]{1,9}", stem) else place


def time_order(names: Sequence[str], where: str) -> list[int]:
    """The places of a list of frames in the order of time, folder by folder.

    Args:
      names: of the frames' files.
      where: the file that lists them, the start of the message.

    Raises:
      InputError: two frames of a folder have one number.
    """
    folders: dict[str, int] = {}
    keys: dict[tuple[int, int], int] = {}
    for place, name in enumerate(names):
        folder = str(pathlib.PurePosixPath(name).parent)
        key = folders.setdefault(folder, len(folders)), number_of(name, place)
        if key in keys:
            raise InputError(f"{where}: {names[keys[key]]} and {name} are both frame {key[1]}; remove one")
        keys[key] = place
    return [keys[key] for key in sorted(keys)]


def _last_number(parts: tuple[str, ...]) -> int | str:
    digits = re.findall("[0-9]+", parts[-1])
    return int(digits[-1]) if digits and len(digits[-1]) < 19 else parts[-1]


# What two names of one frame agree in, the most telling first: folders differ between data sets and results, and so
# do the zeros before a number.
KEYS: tuple[Callable[[tuple[str, ...]], object], ...] = (
    lambda parts: parts,
    lambda parts: parts[-2:],
    lambda parts: parts[-1],
    _last_number,
)


def places_by_name(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray | None:
    """The place in `names` of each name of `wanted`, int64 [F]; None where the two do not name the same frames."""
    for key in KEYS:
        place = {key(_parts(name)): i for i, name in enumerate(names)}
        keys = [key(_parts(name)) for name in wanted]
        if len(place) == len(names) and len(set(keys)) == len(keys) and set(keys) == place.keys():
            return np.array([place[k] for k in keys], np.int64)
    return None


def strangers(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of `names` that no name of `others` is like, by number."""
    known = {_last_number(_parts(name)) for name in others}
    return [name for name in names if _last_number(_parts(name)) not in known]


def _parts(name: str) -> tuple[str, ...]:
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    return path.with_suffix("").parts if path.name else (name,)

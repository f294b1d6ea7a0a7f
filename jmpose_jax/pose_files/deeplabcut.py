"""DeepLabCut's table of one animal or several, as CSV and as HDF5: a row a frame, a column a coordinate."""

import csv
import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from jmpose_jax.boxes.values import plain
from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text
from jmpose_jax.pose_files.hdf5 import read_table, write_table
from jmpose_jax.pose_files.records import ALONE, PoseFile, Track, frame_grid, make_track
from jmpose_jax.pose_files.values import cell, cell_number

AXES = ("x", "y", "z")
SURE = "likelihood"
LEVELS = ("scorer", "individuals", "bodyparts", "coords")
Columns = dict[str, dict[str, dict[str, int]]]  # individual -> joint -> coordinate -> column


def is_dlc(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows of cells begin with DeepLabCut's headings."""
    heads = [row[0].strip().lower() for row in rows[:4] if row]
    return heads[:1] == ["scorer"] and "bodyparts" in heads and "coords" in heads


def read_dlc_csv(path: pathlib.Path, rows: list[list[str]]) -> PoseFile:
    """The table as text.

    Args:
      path: for messages.
      rows: cells, the headings first.

    Raises:
      InputError: naming the line at fault.
    """
    heads = [row[0].strip().lower() for row in rows[:4]]
    count = heads.index("coords") + 1
    levels = {head: row for head, row in zip(heads, rows[:count])}
    # Frames that are pictures have their path in one column, or in three.
    width = next((i for i, value in enumerate(levels["coords"]) if value.strip().lower() in AXES), 1)
    for line, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}: line {line} has {len(row)} cells, the first {len(rows[0])}; correct the line")
    keys = [
        (levels["individuals"][i] if "individuals" in levels else ALONE, levels["bodyparts"][i], levels["coords"][i])
        for i in range(width, len(rows[0]))
    ]
    body = rows[count:]
    values = np.array(
        [
            [cell_number(row[i], f"{path}: line {line}: column {i + 1}") for i in range(width, len(row))]
            for line, row in enumerate(body, start=count + 1)
        ]
    ).reshape(len(body), len(keys))
    columns = _columns(path, keys)
    index = [plain(row[0]) for row in body]
    return _pose_file(path, "dlc_csv", columns, values, index if width == 1 else None, (rows, count, width))


def write_dlc_csv(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The table with other coordinates, and new rows for frames that it does not have.

    Args: as `json_forms.write_json_form`.
    """
    (rows, count, width), columns = file.content[-1], file.content[0]
    row_of = {frame: [*row] for frame, row in zip(_frames(file), rows[count:])}
    for track in tracks:
        for t, frame in enumerate(track.frames.tolist()):
            if frame not in row_of:
                row_of[frame] = [str(file.first + file.step * frame), *[""] * (len(rows[0]) - 1)]
            row = row_of[frame]
            for place, value in _cells(columns[track.name], file.joints, track, t):
                row[width + place] = cell(value, row[width + place])
    with atomic_text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(rows[:count])
        writer.writerows(row for _, row in sorted(row_of.items()))


def read_dlc_h5(path: pathlib.Path) -> PoseFile:
    """The table as pandas keeps it in HDF5.

    Raises:
      InputError: pandas or PyTables is not installed, the file holds no such table, or code.
    """
    key, table = read_table(path)
    names = [str(name).lower() for name in table.columns.names]
    if not {"bodyparts", "coords"} <= set(names):
        raise InputError(f"{path}: its columns are {', '.join(names)[:60]}, not DeepLabCut's {', '.join(LEVELS)}")
    of_level = {name: [str(v) for v in table.columns.get_level_values(i)] for i, name in enumerate(names)}
    animals = of_level.get("individuals", [ALONE] * table.shape[1])
    columns = _columns(path, list(zip(animals, of_level["bodyparts"], of_level["coords"])))
    try:
        values = table.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: holds cells that are no numbers ({error}); correct them") from error
    index = None if table.index.nlevels > 1 else [plain(v) for v in table.index.tolist()]
    return _pose_file(path, "dlc_h5", columns, values, index, (key, table))


def write_dlc_h5(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """As `write_dlc_csv`, as HDF5 under the key that the file had."""
    (key, table), columns = file.content[-1], file.content[0]
    frames = _frames(file)
    wanted = sorted({*frames, *(frame for track in tracks for frame in track.frames.tolist())})
    place = {frame: i for i, frame in enumerate(wanted)}
    values = np.full((len(wanted), table.shape[1]), np.nan)
    values[[place[frame] for frame in frames]] = table.to_numpy(np.float64)
    for track in tracks:
        for t, frame in enumerate(track.frames.tolist()):
            for column, value in _cells(columns[track.name], file.joints, track, t):
                if not math.isnan(value):
                    values[place[frame], column] = value
    label = dict(zip(frames, table.index))
    index = [label.get(frame, file.first + file.step * frame) for frame in wanted]
    write_table(path, key, values, table, index)


def _pose_file(
    path: pathlib.Path, form: str, columns: Columns, values: np.ndarray, index: list | None, content: tuple
) -> PoseFile:
    """The tracks of a table; an animal is in a frame where one of its joints is."""
    if not len(values) or not columns:
        raise InputError(f"{path}: holds no pose; give a table with rows and columns")
    joints = tuple(dict.fromkeys(joint for animal in columns.values() for joint in animal))
    dimensions = max(sum(axis in joint for axis in AXES) for animal in columns.values() for joint in animal.values())
    first, step, frames = 0, 1, np.arange(len(values))
    if index and all(isinstance(v, int) for v in index):  # else paths of pictures, in the order of time
        if not 0 <= min(index) <= max(index) < 2**62:
            raise InputError(f"{path}: its rows are numbered {min(index)} to {max(index)}, expected frames from 0")
        frames, first, step = frame_grid(np.array(index))
        if len(np.unique(frames)) < len(frames):
            raise InputError(f"{path}: has two rows for one frame; remove one")
    tracks = []
    for name, animal in columns.items():
        points = np.full((len(values), len(joints), dimensions), np.nan)
        scores = np.full(points.shape[:2], np.nan)
        for k, joint in enumerate(joints):
            found = animal.get(joint, {})
            for axis, letter in enumerate(AXES[:dimensions]):
                if letter in found:
                    points[:, k, axis] = values[:, found[letter]]
            if SURE in found:
                scores[:, k] = values[:, found[SURE]]
        rows = np.flatnonzero(np.isfinite(points).all(axis=-1).any(axis=1))
        tracks.append(make_track(path, name, frames[rows], points[rows], scores[rows], rows))
    content = (columns, frames.tolist(), content)
    return PoseFile(path, form, joints, dimensions, tuple(tracks), first, step, None, content)


def _columns(path: pathlib.Path, keys: Sequence[tuple[str, str, str]]) -> Columns:
    found: Columns = {}
    for column, (animal, joint, coordinate) in enumerate(keys):
        of_joint = found.setdefault(animal, {}).setdefault(joint, {})
        letter = coordinate.strip().lower()
        if letter in of_joint:
            raise InputError(f"{path}: column {coordinate} of {joint} of {animal} is there twice; remove one")
        of_joint[letter] = column
    for animal, of_animal in found.items():
        for joint, of_joint in of_animal.items():
            if not {"x", "y"} <= of_joint.keys():
                raise InputError(f"{path}: joint {joint} of {animal} has no column x, y; give a table of coordinates")
    return found


def _frames(file: PoseFile) -> list[int]:
    return file.content[1]


def _cells(animal: dict[str, dict[str, int]], joints: Sequence[str], track: Track, t: int) -> list[tuple[int, float]]:
    """(column, value) of all numbers of a pose; NaN says that a cell stays as it is."""
    found = []
    for k, joint in enumerate(joints):
        of_joint = animal.get(joint, {})
        values = dict(zip(AXES, track.poses[t, k].tolist())) | {SURE: float(track.scores[t, k])}
        found += [(column, values.get(name, math.nan)) for name, column in of_joint.items()]
    return found

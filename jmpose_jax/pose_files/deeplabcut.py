"""DeepLabCut's table of one animal or several, as CSV and as HDF5: a row a frame, a column a coordinate."""

import csv
import math
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text
from jmpose_jax.pose_files.hdf5 import read_table, write_table
from jmpose_jax.pose_files.records import ALONE, PoseFile, Track, frame_grid, make_track
from jmpose_jax.pose_files.row_labels import Label, read_labels
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
    width = next((i for i, value in enumerate(levels["coords"]) if i and value.strip()), 1)
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
    return _pose_file(path, "dlc_csv", columns, values, [tuple(row[:width]) for row in body], (rows, count, width))


def write_dlc_csv(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The table with other coordinates, and new rows for frames that it does not have.

    Args: as `json_forms.write_json_form`.
    """
    (rows, count, width), columns = file.content[-1], file.content[0]
    labels = file.content[2]
    row_of = {frame: [*row] for frame, row in zip(_frames(file), rows[count:])}
    for track in tracks:
        for t, frame in enumerate(track.frames.tolist()):
            if frame not in row_of:
                label = labels.of(file.first + file.step * frame)
                row_of[frame] = [*map(str, label), *[""] * (len(rows[0]) - width)]
            row = row_of[frame]
            for place, value in _cells(columns[track.name], file.joints, track, t):
                row[width + place] = cell(value, row[width + place])
    with atomic_text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(rows[:count])
        writer.writerows(row_of[frame] for frame in _ordered(_frames(file), row_of))


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
    index = [label if isinstance(label, tuple) else (label,) for label in table.index.tolist()]
    return _pose_file(path, "dlc_h5", columns, values, index, (key, table))


def write_dlc_h5(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """As `write_dlc_csv`, as HDF5 under the key that the file had."""
    (key, table), columns = file.content[-1], file.content[0]
    frames = _frames(file)
    labels, wanted = file.content[2], _ordered(frames, {f for track in tracks for f in track.frames.tolist()})
    place = {frame: i for i, frame in enumerate(wanted)}
    values = np.full((len(wanted), table.shape[1]), np.nan)
    values[[place[frame] for frame in frames]] = table.to_numpy(np.float64)
    for track in tracks:
        for t, frame in enumerate(track.frames.tolist()):
            for column, value in _cells(columns[track.name], file.joints, track, t):
                if not math.isnan(value):
                    values[place[frame], column] = value
    label = dict(zip(frames, table.index))
    index = [label[frame] if frame in label else labels.of(file.first + file.step * frame) for frame in wanted]
    index = [each[0] if isinstance(each, tuple) and table.index.nlevels == 1 else each for each in index]
    write_table(path, key, values, table, index)


def _pose_file(
    path: pathlib.Path, form: str, columns: Columns, values: np.ndarray, index: list[Label], content: tuple
) -> PoseFile:
    """The tracks of a table; an animal is in a frame where one of its joints is."""
    if not len(values) or not columns:
        raise InputError(f"{path}: holds no pose; give a table with rows and columns")
    joints = tuple(dict.fromkeys(joint for animal in columns.values() for joint in animal))
    dimensions = max(sum(axis in joint for axis in AXES) for animal in columns.values() for joint in animal.values())
    for animal in columns.values():
        flat = [joint for joint, letters in animal.items() if sum(axis in letters for axis in AXES) < dimensions]
        if flat:
            raise InputError(f"{path}: joint {flat[0]} has no column z, and others have; add it, or remove theirs")
    labels = read_labels(path, index)
    frames, first, step = frame_grid(labels.numbers)
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
    content = (columns, frames.tolist(), labels, content)
    return PoseFile(path, form, joints, dimensions, tuple(tracks), first, step, None, content, labels.notes)


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


def _ordered(frames: list[int], wanted: Iterable[int]) -> list[int]:
    """The rows to write: those of the file as they stand; new ones where they belong if it is in order, else last."""
    added = sorted(set(wanted) - set(frames))
    return sorted([*frames, *added]) if frames == sorted(frames) else [*frames, *added]


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

"""Tables of text that hold poses: our tidy poses.csv (a row a joint), and SLEAP's analysis CSV (a row a person)."""

import csv
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmpose_jax.boxes.values import absent, plain, whole
from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text
from jmpose_jax.pose_files.records import ADDED, ALONE, PoseFile, Track, frame_grid, make_track
from jmpose_jax.pose_files.values import cell, cell_number, header_places

TIDY = {
    "frame": ("frame", "frame_idx", "frame_id"),
    "time": ("time_s", "time"),
    "track": ("track_id", "track", "id", "person_id"),
    "joint": ("joint", "bodypart", "keypoint"),
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "score": ("score", "likelihood", "confidence"),
}
SLEAP = {"frame": ("frame_idx",), "track": ("track",)}
MARK = "interpolated"  # column that is 1 in rows that no estimator gave, where a table has it
SAME_TIME = 1e-3  # seconds that rows of one frame may differ by
UNEVEN = 0.5  # of a period, by which one may differ from their median before it is said
Rows = list[list[str]]


def is_tidy(header: Sequence[str]) -> bool:
    """Whether a header is of a row a joint."""
    return {"frame", "joint", "x", "y"} <= header_places(header, TIDY).keys()


def is_sleap(header: Sequence[str]) -> bool:
    """Whether a header is of SLEAP's: `frame_idx`, and columns NODE.x, NODE.y."""
    return "frame" in header_places(header, SLEAP) and bool(_nodes(header))


def read_tidy(path: pathlib.Path, rows: Rows) -> PoseFile:
    """One row a frame, person and joint; rows of any order. A joint without its row is missing.

    Args:
      path: for messages.
      rows: cells, the header first.

    Raises:
      InputError: naming the line at fault.
    """
    places = header_places(rows[0], TIDY)
    _check_widths(path, rows)
    axes = [places[axis] for axis in ("x", "y", "z") if axis in places]
    joints = tuple(dict.fromkeys(row[places["joint"]] for row in rows[1:]))
    if not joints:
        raise InputError(f"{path}: holds no pose; give a table with rows")
    order = {joint: k for k, joint in enumerate(joints)}
    frame_of = [whole(row[places["frame"]], f"{path}: line {n}: the frame") for n, row in enumerate(rows[1:], 2)]
    by_name, notes = _by_identity(path, rows, places)
    of_track: dict[str, dict[int, np.ndarray]] = {}
    for name, lines_of in by_name.items():
        poses = of_track.setdefault(name, {})
        for line in lines_of:
            row = rows[line]
            number = frame_of[line - 1]
            lines = poses.setdefault(number, np.full(len(joints), ADDED, np.int64))
            k = order[row[places["joint"]]]
            if lines[k] != ADDED:
                raise InputError(
                    f"{path}: line {line + 1}: joint {joints[k]} of identity {_called(row, places)} occurs twice in "
                    f"frame {number}; give each person an identity of its own"
                )
            lines[k] = line
    numbers = [number for poses in of_track.values() for number in poses]
    _, first, step = frame_grid(np.array(numbers))

    def column(lines: np.ndarray, place: int) -> np.ndarray:
        return np.array([[np.nan if n == ADDED else _number(path, rows, n, place) for n in pose] for pose in lines])

    tracks, pose_lines = [], []
    for name, poses in of_track.items():
        lines = np.stack(list(poses.values()))
        points = np.stack([column(lines, place) for place in axes], axis=-1)
        scores = column(lines, places["score"]) if "score" in places else np.full(lines.shape, np.nan)
        frames = (np.array(list(poses)) - first) // step
        entries = len(pose_lines) + np.arange(len(lines))
        pose_lines.extend(lines)
        tracks.append(make_track(path, name, frames, points, scores, entries))
    fps, uneven = _rate(path, rows, places, step)
    notes += uneven
    return PoseFile(path, "tidy", joints, len(axes), tuple(tracks), first, step, fps, (rows, pose_lines), notes)


def write_tidy(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The table with other coordinates in its rows, and new rows for what was filled.

    Args: as `json_forms.write_json_form`.
    """
    rows, pose_lines = file.content
    places = header_places(rows[0], TIDY)
    axes = [places[axis] for axis in ("x", "y", "z") if axis in places]
    changed, added = [list(row) for row in rows], []
    mark = rows[0].index(MARK) if MARK in rows[0] else None
    times = _times(file.path, rows, places)
    for track in tracks:
        own = rows[max(pose_lines[track.entries.max()])]  # any of its rows, for what all of them say
        for t, (frame, entry) in enumerate(zip(track.frames.tolist(), track.entries.tolist())):
            lines = pose_lines[entry] if entry != ADDED else np.full(len(file.joints), ADDED)
            number = file.first + file.step * frame
            for k, line in enumerate(lines.tolist()):
                point, score = track.poses[t, k], track.scores[t, k]
                if line == ADDED:
                    if np.isnan(point).any():
                        continue
                    row = [""] * len(rows[0])
                    row[places["frame"]], row[places["joint"]] = str(number), file.joints[k]
                    if "time" in places and len(times):
                        row[places["time"]] = f"{np.interp(number, *times):.6f}"
                    if "track" in places:
                        row[places["track"]] = own[places["track"]]
                    if mark is not None:
                        row[mark] = "1"
                    added.append((number, row))
                else:
                    row = changed[line]
                _put(row, axes, point)
                if "score" in places:
                    row[places["score"]] = cell(score, row[places["score"]])
    _write(path, changed, added, places["frame"])


def read_sleap(path: pathlib.Path, rows: Rows) -> PoseFile:
    """One row a frame and instance: `track`, `frame_idx`, `instance.score`, NODE.x, NODE.y, NODE.score.

    Args and errors as `read_tidy`.
    """
    _check_widths(path, rows)
    places, nodes = header_places(rows[0], SLEAP), _nodes(rows[0])
    if len(rows) < 2:
        raise InputError(f"{path}: holds no pose; give a table with rows")
    of_track, notes = _by_identity(path, rows, places)
    numbers = [whole(row[places["frame"]], f"{path}: line {n}: 'frame_idx'") for n, row in enumerate(rows[1:], 2)]
    frames, first, step = frame_grid(np.array(numbers))
    tracks = []
    for name, lines in of_track.items():
        values = np.array(
            [
                [[_number(path, rows, n, p) if p is not None else np.nan for p in node] for node in nodes.values()]
                for n in lines
            ]
        )
        at = frames[np.array(lines) - 1]
        tracks.append(make_track(path, name, at, values[..., :2], values[..., 2], np.array(lines)))
    return PoseFile(path, "sleap", tuple(nodes), 2, tuple(tracks), first, step, None, rows, notes)


def write_sleap(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The table with other coordinates, and new rows for frames in which an instance was not.

    Args: as `json_forms.write_json_form`.
    """
    rows = file.content
    places, nodes = header_places(rows[0], SLEAP), _nodes(rows[0])
    changed, added = [list(row) for row in rows], []
    for track in tracks:
        for t, (frame, line) in enumerate(zip(track.frames.tolist(), track.entries.tolist())):
            if line == ADDED:
                number = file.first + file.step * frame
                row = [""] * len(rows[0])
                row[places["frame"]] = str(number)
                if "track" in places:
                    row[places["track"]] = rows[track.entries.max()][places["track"]]
                added.append((number, row))
            else:
                row = changed[line]
            for (x, y, score), point, sure in zip(nodes.values(), track.poses[t], track.scores[t]):
                _put(row, (x, y), point)
                if score is not None:
                    row[score] = cell(sure, row[score])
    _write(path, changed, added, places["frame"])


def _nodes(header: Sequence[str]) -> dict[str, tuple[int, int, int | None]]:
    """The places of x, y and score of each node."""
    place = {name.strip(): i for i, name in enumerate(header)}
    names = [name[:-2] for name in place if name.endswith(".x") and name[:-2] + ".y" in place]
    return {name: (place[name + ".x"], place[name + ".y"], place.get(name + ".score")) for name in names}


def _number(path: Any, rows: Rows, line: int, place: int) -> float:
    return cell_number(rows[line][place], f"{path}: line {line + 1}: column {rows[0][place]!r}")


def _check_widths(path: Any, rows: Rows) -> None:
    for line, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}: line {line} has {len(row)} cells, the header {len(rows[0])}; correct the line")


def _by_identity(path: Any, rows: Rows, places: dict[str, int]) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """The rows of each identity. Those without one are one track where no row has one, and else left alone."""
    if "track" not in places:
        return {ALONE: list(range(1, len(rows)))}, ()
    found: dict[str, list[int]] = {}
    loose = []
    for line, row in enumerate(rows[1:], start=1):
        name = row[places["track"]]
        if absent(name) or plain(name) == -1:  # -1 as in JSON and MOT
            loose.append(line)
        else:
            found.setdefault(name, []).append(line)
    if not found:
        return {ALONE: loose}, ()
    return found, (f"{len(loose)} rows without an identity are left as they are",) if loose else ()


def _called(row: list[str], places: dict[str, int]) -> str:
    return (row[places["track"]] if "track" in places else "") or "none"


def _times(path: Any, rows: Rows, places: dict[str, int]) -> tuple[np.ndarray, np.ndarray] | tuple[()]:
    """(numbers, seconds) of the frames whose time is given, ascending; () where fewer than two are."""
    if "time" not in places:
        return ()
    found: dict[float, float] = {}
    for line, row in enumerate(rows[1:], start=1):
        time = _number(path, rows, line, places["time"])
        if not math.isfinite(time):
            continue
        before = found.setdefault(float(row[places["frame"]]), time)
        if abs(before - time) > SAME_TIME:
            raise InputError(
                f"{path}: line {line + 1}: frame {row[places['frame']]} is at {time:g} s, and at {before:g} s in a row "
                "above; correct the time"
            )
    return tuple(np.array(sorted(found.items())).T) if len(found) > 1 else ()


def _rate(path: Any, rows: Rows, places: dict[str, int], step: int) -> tuple[float | None, tuple[str, ...]]:
    """Frames of the grid a second, by the times of the rows, and a note where these are uneven."""
    times = _times(path, rows, places)
    if not times:
        return None, ()
    steps = np.diff(times[1]) / np.diff(times[0])
    period = float(np.median(steps)) * step
    if period <= 0:
        return None, ()
    uneven = np.abs(steps * step / period - 1).max() > UNEVEN
    return 1 / period, (f"times are uneven, taken for {1 / period:.4g} frames a second",) if uneven else ()


def _put(row: list[str], axes: Sequence[int], point: np.ndarray) -> None:
    for place, value in zip(axes, point.tolist()):
        row[place] = cell(value, row[place])


def _write(path: str | os.PathLike, rows: Rows, added: list[tuple[int, list[str]]], frame: int) -> None:
    """Rows in their order; those that are new go where their frame is, if the rows are in the order of frames."""
    header, body = rows[0], [(int(float(row[frame])), row) for row in rows[1:]]
    in_order = all(a[0] <= b[0] for a, b in zip(body, body[1:]))
    body += added
    if in_order:
        body.sort(key=lambda entry: entry[0])
    with atomic_text(path) as file:
        csv.writer(file, lineterminator="\n").writerows([header, *(row for _, row in body)])

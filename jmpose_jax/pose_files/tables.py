"""Tables of text that hold poses: our tidy poses.csv (a row a joint), and SLEAP's analysis CSV (a row a person)."""

import csv
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmpose_jax.boxes.values import absent, whole
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
    of_track: dict[str, dict[int, np.ndarray]] = {}
    for line, row in enumerate(rows[1:], start=1):
        number = whole(row[places["frame"]], f"{path}: line {line + 1}: the frame")
        name = row[places["track"]] if "track" in places else ALONE
        poses = of_track.setdefault(ALONE if absent(name) else name, {})
        lines = poses.setdefault(number, np.full(len(joints), ADDED, np.int64))
        k = order[row[places["joint"]]]
        if lines[k] != ADDED:
            raise InputError(
                f"{path}: line {line + 1}: joint {joints[k]} of identity {name or 'none'} occurs twice in frame "
                f"{number}; give each person an identity of its own"
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
    fps = _rate(path, rows, places, step)
    return PoseFile(path, "tidy", joints, len(axes), tuple(tracks), first, step, fps, (rows, pose_lines))


def write_tidy(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The table with other coordinates in its rows, and new rows for what was filled.

    Args: as `json_forms.write_json_form`.
    """
    rows, pose_lines = file.content
    places = header_places(rows[0], TIDY)
    axes = [places[axis] for axis in ("x", "y", "z") if axis in places]
    changed, added = [list(row) for row in rows], []
    times = _times(rows, places)
    for track in tracks:
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
                        row[places["track"]] = track.name
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
    of_track: dict[str, list[int]] = {}
    for n, row in enumerate(rows[1:], start=1):
        name = row[places["track"]] if "track" in places else ""
        of_track.setdefault(ALONE if absent(name) else name, []).append(n)
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
    return PoseFile(path, "sleap", tuple(nodes), 2, tuple(tracks), first, step, None, rows)


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
                    row[places["track"]] = track.name
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


def _times(rows: Rows, places: dict[str, int]) -> tuple[np.ndarray, np.ndarray] | tuple[()]:
    """(numbers, seconds) of the frames whose time is given, ascending; () where fewer than two are."""
    if "time" not in places:
        return ()
    cells = {row[places["frame"]]: row[places["time"]] for row in rows[1:] if not absent(row[places["time"]])}
    pairs = sorted((float(frame), float(time)) for frame, time in cells.items())
    return tuple(np.array(pairs).T) if len(pairs) > 1 else ()


def _rate(path: Any, rows: Rows, places: dict[str, int], step: int) -> float | None:
    """Frames of the grid a second, by the times of the rows."""
    if "time" not in places:
        return None
    for line in range(1, len(rows)):
        _number(path, rows, line, places["time"])
    times = _times(rows, places)
    if not times:
        return None
    steps = np.diff(times[1]) / np.diff(times[0])
    period = float(np.median(steps)) * step
    return 1 / period if period > 0 else None


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

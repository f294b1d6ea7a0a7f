"""PoseTrack17: the annolist form of the MPII era, in which every value sits in a list of one."""

import pathlib
import re
from typing import Any

import numpy as np

from data_pipeline.annotations import NUM_KEYPOINTS, Frame, Person, Video, box_of_keypoints
from data_pipeline.posetrack import image_path, in_time_order, unique_names
from jmpose_jax import checks
from jmpose_jax.checks import field, read_json, typed
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17_TO_15

# PoseTrack18's number of the source of a video in its image ids; 9 is ours, for folders named otherwise.
SOURCES = {"mpii": 1, "bonn": 2, "mpiinew": 3}
OTHER_SOURCE = 9


def read_split(source: pathlib.Path, files: list[pathlib.Path], split: str) -> list[Video]:
    """The videos of one split, one a file, in the order of their names.

    Args:
      source: folder that the file names of the images are relative to.
      files: the annolist JSON files.
      split: not needed here, readers share one signature.

    Raises:
      InputError: naming the file and the place in it of the first fault.
    """
    videos = unique_names([read_file(source, path, place) for place, path in enumerate(files)])
    owners: dict[int, pathlib.Path] = {}
    for video in videos:
        for frame in video.frames:
            if frame.image_id in owners:
                raise InputError(
                    f"{video.annotation_file}: {frame.file_name} gets the id of a frame of {owners[frame.image_id]}; "
                    "the two folders carry the same sequence number, rename one"
                )
        owners.update((frame.image_id, video.annotation_file) for frame in video.frames)
    return videos


def read_file(source: pathlib.Path, path: pathlib.Path, place: int = 0) -> Video:
    """The video of one annolist file.

    The 15 joints fill the 17 slots of PoseTrack18; the form has no person box, so it is made of the keypoints, and no
    image ids, so they are made of the sequence and frame numbers in the image's path.

    Args:
      source: folder that the file names of the images are relative to.
      path: the JSON file.
      place: the file's place among those of the split, for the ids of folders without a sequence number.

    Raises:
      InputError: naming file, key and index of the first fault.
    """
    entries = field(read_json(path), "annolist", list, str(path))
    if not entries:
        raise InputError(f"{path}: 'annolist' is empty; remove the file or restore its content")
    names = [_file_name(entry, f"{path}: annolist[{i}]") for i, entry in enumerate(entries)]
    stems = [pathlib.PurePosixPath(name).stem for name in names]
    numbered = all(re.fullmatch("[0-9]{1,9}", stem) for stem in stems)
    frames = []
    for i, (entry, name) in enumerate(zip(entries, names)):
        where = f"{path}: annolist[{i}]"
        people = tuple(
            _person(rect, f"{where}: annorect[{j}]") for j, rect in enumerate(_items(entry, "annorect", where))
        )
        number = int(stems[i]) if numbered else i
        frames.append(
            Frame(
                file_name=name,
                path=image_path(source, name),
                image_id=image_id(name, number, place),
                number=number,
                is_labeled=bool(_leaf(entry, "is_labeled", int, where, int(bool(people)))),
                persons=people,
                ignore_regions=_regions(entry, where),
            )
        )
    return Video(path.stem, path, in_time_order(path, frames))


def image_id(file_name: str, number: int, place: int) -> int:
    """PoseTrack18's id of a frame: source · 10^10 + sequence · 10^4 + frame."""
    match = re.match("([0-9]{1,6})_(mpiinew|mpii|bonn)", pathlib.PurePosixPath(file_name).parent.name)
    kind, sequence = (SOURCES[match[2]], int(match[1])) if match else (OTHER_SOURCE, place)
    return kind * 10**10 + sequence * 10**4 + number


def _file_name(entry: Any, where: str) -> str:
    images = field(entry, "image", list, where)
    if not images:
        raise InputError(f"{where}: 'image' is empty; every entry must name its image")
    return checks.file_name(_leaf(images[0], "name", str, f"{where}: 'image'"), f"{where}: 'image': 'name'")


def _items(mapping: Any, key: str, where: str) -> list[Any]:
    """A list that may be missing, or, where there is one item, be the item itself."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if isinstance(value, dict):
        return [value]
    return typed(value or [], list, f"{where}: {key!r}")


def _leaf(mapping: Any, key: str, kind: type, where: str, default: Any = None) -> Any:
    """A value in its list of one; missing and empty lists give the default where there is one."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        if default is None:
            raise InputError(f"{where}: key {key!r} is missing or empty; the file is not of the annolist form")
        return default
    return typed(value, kind, f"{where}: {key!r}")


def _person(rect: Any, where: str) -> Person:
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    for group in _items(rect, "annopoints", where):
        for i, point in enumerate(_items(group, "point", where)):
            at = f"{where}: point[{i}]"
            joint = _leaf(point, "id", int, at)
            if not 0 <= joint < len(POSETRACK17_TO_15):
                raise InputError(f"{at}: joint id {joint} is not one of 0 to {len(POSETRACK17_TO_15) - 1}; correct it")
            visible = _leaf(point, "is_visible", float, at, 1.0)
            position = _leaf(point, "x", float, at), _leaf(point, "y", float, at)
            keypoints[POSETRACK17_TO_15[joint]] = (*position, visible)
    corners = [_leaf(rect, key, float, where, float("nan")) for key in ("x1", "y1", "x2", "y2")]
    head = np.zeros(4, np.float32)
    if not np.isnan(corners).any():
        head = np.asarray([*corners[:2], corners[2] - corners[0], corners[3] - corners[1]], np.float32)
    return Person(keypoints, box_of_keypoints(keypoints), head, _leaf(rect, "track_id", int, where, -1))


def _regions(entry: Any, where: str) -> tuple[np.ndarray, ...]:
    regions = []
    for i, region in enumerate(_items(entry, "ignore_regions", where)):
        at = f"{where}: ignore_regions[{i}]"
        points = [[_leaf(point, key, float, at) for key in ("x", "y")] for point in _items(region, "point", at)]
        if points:
            regions.append(np.asarray(points, np.float32))
    return tuple(regions)

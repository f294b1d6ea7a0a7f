"""The PoseTrack17 form: an `annolist` of the MPII era, in which every value sits in a list of one."""

from typing import Any

import numpy as np

from jmpose_jax import checks
from jmpose_jax.checks import field, typed
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.entries import ImageEntry, PersonEntry, check_absent
from jmpose_jax.skeletons import POSETRACK17_TO_15

CORNERS = ("x1", "y1", "x2", "y2")  # of the head box


def read_annolist(
    path: Any, content: dict[str, Any], predictions: bool
) -> tuple[tuple[ImageEntry, ...], tuple[PersonEntry, ...]]:
    """The entries of a file of the PoseTrack17 form.

    Args:
      path: the file, for messages.
      content: its JSON object.
      predictions: images need no name, and it may lead anywhere.

    Returns:
      Images and people; the 15 joints fill the slots of `skeletons.POSETRACK17`.

    Raises:
      InputError: naming file, key and index of the first fault.
    """
    rows = field(content, "annolist", list, str(path))
    if not rows:
        raise InputError(f"{path}: 'annolist' is empty; remove the file or restore its content")
    images, people = [], []
    for i, row in enumerate(rows):
        where = f"{path}: annolist[{i}]"
        rects = _items(row, "annorect", where)
        images.append(
            ImageEntry(
                where=where,
                image_id=None,
                file_name=_file_name(row, where, predictions),
                is_labeled=bool(_leaf(row, "is_labeled", int, where, int(bool(rects)))),
                size=None,
                ignore_regions=_regions(row, where),
                raw=row,
            )
        )
        people += [_person(rect, i, f"{where}: annorect[{j}]", predictions) for j, rect in enumerate(rects)]
    return tuple(images), tuple(people)


def _file_name(row: Any, where: str, predictions: bool) -> str | None:
    images = _items(row, "image", where)
    if predictions:
        return (_leaf(images[0], "name", str, f"{where}: 'image'", "") or None) if images else None
    if not images:
        raise InputError(f"{where}: 'image' is empty; every entry must name its image")
    return checks.file_name(_leaf(images[0], "name", str, f"{where}: 'image'"), f"{where}: 'image': 'name'")


def _items(mapping: Any, key: str, where: str) -> list[Any]:
    """A list that may be missing, or, where there is one item, be the item itself."""
    if not isinstance(mapping, dict):
        raise InputError(f"{where}: must be an object, found {mapping!r:.60}")
    value = mapping.get(key)
    if isinstance(value, dict):
        return [value]
    return typed([] if value is None else value, list, f"{where}: {key!r}")


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


def _person(rect: Any, image: int, where: str, predictions: bool) -> PersonEntry:
    keypoints, scores, present = np.zeros((17, 3)), np.full(17, np.nan), np.zeros(17, bool)
    groups = _items(rect, "annopoints", where)
    listed = False
    for group in groups:
        listed |= isinstance(group, dict) and "point" in group
        for i, point in enumerate(_items(group, "point", where)):
            at = f"{where}: point[{i}]"
            joint = _leaf(point, "id", int, at)
            if not 0 <= joint < len(POSETRACK17_TO_15):
                raise InputError(f"{at}: joint id {joint} is not one of 0 to {len(POSETRACK17_TO_15) - 1}; correct it")
            slot = POSETRACK17_TO_15[joint]
            position = _leaf(point, "x", float, at), _leaf(point, "y", float, at)
            visible, score = _leaf(point, "is_visible", float, at, 1.0), _leaf(point, "score", float, at, np.nan)
            if not present[slot]:  # the official evaluator takes the first of a joint
                keypoints[slot] = (*position, visible)
                scores[slot], present[slot] = score, True
    if not predictions:
        check_absent(keypoints, where)
    track = _leaf(rect, "track_id", int, where, -1)
    return PersonEntry(
        where=where,
        image=image,
        keypoints=keypoints,
        present=present,
        scores=scores,
        box=None,
        head_box=_head_box(rect, where),
        track_id=track if track >= 0 else None,
        identity=None,
        person_index=-1,
        listed=listed,
        raw=rect,
    )


def _head_box(rect: Any, where: str) -> np.ndarray | None:
    corners = [_leaf(rect, key, float, where, np.nan) for key in CORNERS]
    without = np.isnan(corners)
    if without.all():
        return None
    if without.any():
        raise InputError(f"{where}: {CORNERS[int(np.argmax(without))]!r} is missing; a head box has {CORNERS}")
    x1, y1, x2, y2 = corners
    return np.array([x1, y1, x2 - x1, y2 - y1])


def _regions(row: Any, where: str) -> tuple[np.ndarray, ...]:
    regions = []
    for i, region in enumerate(_items(row, "ignore_regions", where)):
        at = f"{where}: ignore_regions[{i}]"
        points = [[_leaf(point, key, float, at) for key in ("x", "y")] for point in _items(region, "point", at)]
        if points:
            regions.append(np.array(points))
    return tuple(regions)

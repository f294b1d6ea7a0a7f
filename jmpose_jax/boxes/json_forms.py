"""The JSON forms of box files."""

import re
from typing import Any

from jmpose_jax.boxes.records import Builder, Content, Image, Row
from jmpose_jax.boxes.values import PERSON, box, is_person, number, track, whole
from jmpose_jax.checks import field, typed
from jmpose_jax.errors import InputError

PER_FRAME = "[[x, y, width, height, score], …]"


def read_images(path: Any, content: dict) -> Content:
    """`images` and `annotations` (PoseTrack18, COCO, what `jmpose predict` writes)."""
    builder, by_id = Builder(path), {}
    for i, entry in enumerate(field(content, "images", list, f"{path}")):
        where = f"{path}: images[{i}]"
        name = field(entry, "file_name", str, where, default=None)
        key = "id" if entry.get("id") is not None or entry.get("frame_id") is None else "frame_id"
        identity = whole(field(entry, key, object, where), f"{where}: {key!r}")
        if identity in by_id:
            raise InputError(
                f"{where} has the id {identity}, as {builder.images[by_id[identity]].place} has; ids are unique"
            )
        by_id[identity] = len(builder.images)
        builder.images.append(Image(f"images[{i}]", name, identity, entry={**entry, "id": identity}))
    persons = _persons(path, content)
    for i, entry in enumerate(field(content, "annotations", list, f"{path}", default=[])):
        where = f"{path}: annotations[{i}]"
        identity = whole(field(entry, "image_id", object, where), f"{where}: 'image_id'")
        if identity not in by_id:
            raise InputError(f"{where} names image {identity}, which is not among images; add or correct it")
        builder.rows.append(_row(where, f"annotations[{i}]", by_id[identity], entry, persons, needs_score=False))
    return builder.content("images")


def _persons(path: Any, content: dict) -> tuple[int, ...]:
    """The ids of the categories that are called person; where none is, the usual 1."""
    found = []
    for i, entry in enumerate(field(content, "categories", list, f"{path}", default=[])):
        where = f"{path}: categories[{i}]"
        if field(entry, "name", object, where, default=None) == "person" and "id" in entry:
            found.append(whole(entry["id"], f"{where}: 'id'"))
    return tuple(found) or (PERSON,)


def read_frames(path: Any, content: dict) -> Content:
    """`{"frame": [[x, y, width, height, score], …]}`."""
    builder = Builder(path)
    for key, boxes in content.items():
        text = key.strip()
        if not re.fullmatch("[0-9]{1,9}", text, re.ASCII) or not isinstance(boxes, list):
            raise InputError(f'{path}: {key[:60]!r} is no frame number with a list; write {{"0": {PER_FRAME}, …}}')
        _frame(builder, f"frame {key}", int(text), boxes)
    return builder.content("frames")


def read_positions(path: Any, content: list) -> Content:
    """A list for each frame of the video, in order; null where there is nobody."""
    builder = Builder(path)
    if content and all(_is_box(entry) for entry in content):
        raise InputError(
            f"{path}: a list of boxes that says nothing of frames; write one list a frame, [{PER_FRAME}, …], "
            f'or {{"0": {PER_FRAME}, …}}'
        )
    for i, boxes in enumerate(content):
        where = f"[{i}]"
        _frame(builder, where, i, [] if boxes is None else typed(boxes, list, f"{path}: {where}"))
    return builder.content("positions")


def _is_box(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) in (4, 5) and not any(isinstance(v, (list, dict)) for v in entry)


def _frame(builder: Builder, name: str, frame: int, boxes: list) -> None:
    image = builder.image(Image(name, number=frame))
    for i, values in enumerate(boxes):
        place = f"box {i} of {name}"
        where = f"{builder.path}: {place}"
        values = typed(values, list, where)
        if len(values) not in (4, 5):
            raise InputError(f"{where} has {len(values)} numbers; write [x, y, width, height, score]")
        score = number(values[4], f"{where}: the score") if len(values) == 5 else 1.0
        builder.rows.append(Row(place, image, box(values[:4], where), score))


def read_list(path: Any, content: list) -> Content:
    """A flat list of detections with `image_name` or `image_id` (COCO results, mmpose, DCPose)."""
    builder = Builder(path)
    for i, entry in enumerate(content):
        place = f"[{i}]"
        where = f"{path}: {place}"
        name = field(entry, "image_name", str, where, default=None)
        identity = entry.get("image_id")
        if identity is not None:
            identity = whole(identity, f"{where}: 'image_id'")
        if name is None and identity is None:
            raise InputError(f"{where}: neither 'image_name' nor 'image_id' is given; its frame is unknown")
        builder.rows.append(_row(where, place, builder.image(Image(place, name, identity)), entry, (PERSON,), True))
    return builder.content("list")


def _row(where: str, place: str, image: int, entry: dict, persons: tuple[int, ...], needs_score: bool) -> Row:
    score = entry.get("score")
    if score is None and needs_score:
        field(entry, "score", object, where)
    category = entry.get("category_id")
    return Row(
        place,
        image,
        box(field(entry, "bbox", list, where), f"{where}: 'bbox'"),
        1.0 if score is None else number(score, f"{where}: 'score'"),
        True if category is None else is_person(category, f"{where}: 'category_id'", persons),
        track(entry.get("track_id"), f"{where}: 'track_id'"),
    )

"""The JSON forms of box files."""

import dataclasses
import re
from typing import Any

from jmpose_jax.boxes.columns import COLUMNS
from jmpose_jax.boxes.naming import POSETRACK_ID
from jmpose_jax.boxes.records import Builder, Content, Image, Row
from jmpose_jax.boxes.values import (
    PERSON,
    absent,
    box,
    called_person,
    image_size,
    is_person,
    number,
    plain,
    track,
    whole,
)
from jmpose_jax.checks import field, typed
from jmpose_jax.errors import InputError

PER_FRAME = "[[x, y, width, height, score], …]"
IMAGE_FILE = re.compile(r".*[0-9].*\.(jpe?g|png|bmp|webp|tiff?)", re.ASCII | re.IGNORECASE)
_LIST_NAMES = ("image_name", "file_name", "filename", "image_path")
_CATEGORY_NAMES = ("category_name", "category", "class_name", "class", "label")


def read_images(path: Any, content: dict) -> Content:
    """`images` and `annotations` (PoseTrack18, COCO, what `jmpose predict` writes)."""
    builder, by_id = Builder(path), {}
    videos = _videos(content)
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
        number = _frame_number(where, entry) if key == "id" else None
        size = image_size(entry.get("width"), entry.get("height"), where)
        known = {**entry, "id": identity}
        builder.images.append(Image(f"images[{i}]", name, identity, number, _video(entry, videos), size, known))
    _leave_copies(builder)
    persons = _persons(path, content)
    for i, entry in enumerate(field(content, "annotations", list, f"{path}", default=[])):
        where = f"{path}: annotations[{i}]"
        identity = whole(field(entry, "image_id", object, where), f"{where}: 'image_id'")
        if identity not in by_id:
            raise InputError(f"{where} names image {identity}, which is not among images; add or correct it")
        builder.rows.append(_row(where, f"annotations[{i}]", by_id[identity], entry, persons, needs_score=False))
    return builder.content("images")


def _videos(content: dict) -> dict[str, str]:
    """The names of the videos by id, as text, where the file has a table of them."""
    table = content.get("videos")
    names = {}
    for entry in table if isinstance(table, list) else ():
        if isinstance(entry, dict):
            name = next((entry[key] for key in ("name", "file_name") if isinstance(entry.get(key), str)), None)
            names[str(plain(entry.get("id")))] = name
    return {identity: name for identity, name in names.items() if name}


def _video(entry: dict, videos: dict[str, str]) -> str | None:
    """What an entry calls its video."""
    given = (entry.get(key) for key in COLUMNS["video"])
    value = next((v for v in given if isinstance(v, (str, int)) and not isinstance(v, bool) and not absent(v)), None)
    return None if value is None else videos.get(str(plain(value)), str(value))


def _frame_number(where: str, entry: dict) -> int | None:
    """What an entry calls the number of its frame; two keys that differ are refused."""
    found = {key: whole(entry[key], f"{where}: {key!r}") for key in COLUMNS["frame"] if not absent(entry.get(key))}
    if len(set(found.values())) > 1:
        both = " and ".join(f"{key} {value}" for key, value in found.items())
        raise InputError(f"{where} has the {both}, which differ; remove what is not the frame's number")
    return next(iter(found.values()), None)


def _leave_copies(builder: Builder) -> None:
    """Take away numbers that repeat the ids, as PoseTrack18's frame_id does."""
    if all(image.number in (None, image.identity) for image in builder.images):
        builder.images[:] = [
            image if image.identity is None else dataclasses.replace(image, number=None) for image in builder.images
        ]


def _persons(path: Any, content: dict) -> tuple[int, ...]:
    """The ids of the categories that are people's; the usual 1 where the file names no category at all."""
    found, names = [], []
    for i, entry in enumerate(field(content, "categories", list, f"{path}", default=[])):
        where = f"{path}: categories[{i}]"
        name = field(entry, "name", object, where, default=None)
        if not isinstance(name, str):
            continue
        names.append(name)
        if called_person(name) and "id" in entry:
            found.append(whole(entry["id"], f"{where}: 'id'"))
    if names and not found:
        listed = ", ".join(name[:30] for name in names[:8]) + (", …" if len(names) > 8 else "")
        raise InputError(
            f"{path}: no category is one of people, 'categories' names {listed}; call the one that is \"person\", "
            "or give a file with boxes of people"
        )
    return tuple(found) or (PERSON,)


def read_frames(path: Any, content: dict) -> Content:
    """`{"frame": [[x, y, width, height, score], …]}`; in place of the numbers may stand names of images."""
    builder, named = Builder(path), False
    for key, boxes in content.items():
        text = key.strip()
        numbered = re.fullmatch("[0-9]{1,9}", text, re.ASCII)
        name = len(text) <= 200 and isinstance(plain(text), str) and re.search("[A-Za-z]", text)
        name = name and re.search("[0-9]", text, re.ASCII)
        if not (numbered or name) or not isinstance(boxes, list):
            raise InputError(f'{path}: {key[:60]!r} is no frame number with a list; write {{"0": {PER_FRAME}, …}}')
        named |= not numbered
        place = f"frame {key[:60]}"
        index = len(builder.images)
        image = Image(place, number=int(text)) if numbered else Image(place, name=text)
        if builder.image(image) != index:
            raise InputError(f"{path}: {text!r} stands there twice, the same frame; write all its boxes in one list")
        _frame(builder, place, index, boxes)
    return builder.content("list" if named else "frames")


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
        _frame(
            builder,
            where,
            builder.image(Image(where, number=i)),
            [] if boxes is None else typed(boxes, list, f"{path}: {where}"),
        )
    return builder.content("positions")


def _is_box(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) in (4, 5) and not any(isinstance(v, (list, dict)) for v in entry)


def _frame(builder: Builder, name: str, image: int, boxes: list) -> None:
    for i, values in enumerate(boxes):
        place = f"box {i} of {name}"
        where = f"{builder.path}: {place}"
        values = typed(values, list, where)
        if len(values) not in (4, 5):
            raise InputError(f"{where} has {len(values)} numbers; write [x, y, width, height, score]")
        score = number(values[4], f"{where}: the score") if len(values) == 5 else 1.0
        builder.rows.append(Row(place, image, box(values[:4], where), score))


def read_list(path: Any, content: list) -> Content:
    """A flat list of detections with `image_name`, `image_id` or `frame_id` (COCO results, mmpose, DCPose)."""
    builder = Builder(path)
    for i, entry in enumerate(content):
        place = f"[{i}]"
        where = f"{path}: {place}"
        names = (field(entry, key, str, where, default=None) for key in _LIST_NAMES)
        name = next((n for n in names if n is not None), None)
        identity, frame = entry.get("image_id"), _frame_number(where, entry)
        if isinstance(identity, str) and IMAGE_FILE.fullmatch(identity.strip()):
            name, identity = name or identity.strip(), None
        elif identity is None and frame is not None and frame >= POSETRACK_ID:
            identity, frame = frame, None
        if identity is not None:
            identity = whole(identity, f"{where}: 'image_id'")
        if name is None and identity is None and frame is None:
            raise InputError(f"{where}: neither 'image_name' nor 'image_id' is given; its frame is unknown")
        size = image_size(entry.get("width"), entry.get("height"), where)
        image = builder.image(Image(place, name, identity, frame, _video(entry, {}), size))
        builder.rows.append(_row(where, place, image, entry, (PERSON,), True))
    _leave_copies(builder)
    return builder.content("list")


def _row(where: str, place: str, image: int, entry: dict, persons: tuple[int, ...], needs_score: bool) -> Row:
    score = entry.get("score")
    if score is None and needs_score:
        field(entry, "score", object, where)
    category = entry.get("category_id")
    # A number under these names may count from 0 or from 1; a word is plain.
    words = (plain(entry.get(key)) for key in _CATEGORY_NAMES)
    word = next((value for value in words if isinstance(value, str) and not absent(value)), None)
    person = category is None or is_person(category, f"{where}: 'category_id'", persons)
    crowd = typed(plain(entry.get("iscrowd")) or 0, bool, f"{where}: 'iscrowd'")
    return Row(
        place,
        image,
        box(field(entry, "bbox", list, where), f"{where}: 'bbox'"),
        1.0 if score is None else number(score, f"{where}: 'score'"),
        person and (word is None or called_person(word)),
        track(entry.get("track_id"), f"{where}: 'track_id'"),
        crowd,
    )

"""The one reader of PoseTrack files of both forms, for `prepare`, its check, the training and the metrics.

PoseTrack18 and 21 files hold `images`, `annotations` and `categories`; PoseTrack17 files hold an `annolist`. Joints go
by the names of `categories` where it gives some, else they stand in PoseTrack18's order of 17.
"""

import os
import pathlib
from typing import Any

import numpy as np

from jmpose_jax import checks
from jmpose_jax.checks import begins_with_mark, field, numbers, read_json, typed
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.annolist import read_annolist
from jmpose_jax.posetrack.entries import AnnotationFile, ImageEntry, PersonEntry, check_absent
from jmpose_jax.posetrack.joint_names import places
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17

# Lists of the embedded data set with one entry a joint: the axis of the joints, and what a joint gets that the file
# does not have.
PER_JOINT = {"joint_cause": (0, "none"), "joint_speed": (0, 0.0), "joint_motion": (1, [0.0, 0.0])}
MARK = "file that begins with a byte-order mark"
ORDER = "file whose joints stand in another order"
FRAME_ID = "file with frame_id in place of id"
HEAD_BOX = "file with head_box in place of bbox_head"
POLYGON = "file with a polygon that is not in a list"
ODDITIES = (MARK, ORDER, FRAME_ID, HEAD_BOX, POLYGON)
UNNAMED = "file that does not name its joints"  # official result files need not; evaluate says what was assumed


def read_file(path: str | os.PathLike, predictions: bool = False, unannotated: bool = False) -> AnnotationFile:
    """The entries of one file of either form.

    Args:
      path: the JSON file.
      predictions: of a model: images need no file name, and it may lead anywhere.
      unannotated: accept a file without annotations, as test splits are published.

    Returns:
      The images and people, with their joints by name.

    Raises:
      InputError: naming file, key and index of the first fault.
    """
    path = pathlib.Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or not ("annolist" in content or "images" in content):
        raise InputError(
            f"{path}: neither PoseTrack17 form (annolist) nor PoseTrack18 form: key 'images' is missing; "
            "give PoseTrack files, or move this one out of the folder"
        )
    odd = {MARK} if begins_with_mark(path) else set()
    if "annolist" in content:
        form = "posetrack17"
        images, people = read_annolist(path, content, predictions)
    else:
        form = "posetrack18"
        images, people = _read_18(path, content, predictions, unannotated, odd)
    if not predictions:
        _check_names(path, images)
    known = tuple(text for text in ODDITIES if text in odd)
    return AnnotationFile(path, form, images, people, known, content, unnamed_joints=UNNAMED in odd)


def _check_names(path: pathlib.Path, images: tuple[ImageEntry, ...]) -> None:
    seen: dict[str | None, int] = {}
    for i, image in enumerate(images):
        if image.file_name in seen:
            first = seen[image.file_name]
            raise InputError(f"{path}: entries {first} and {i} of its images are both {image.file_name}; remove one")
        seen[image.file_name] = i


def _read_18(
    path: pathlib.Path, content: dict[str, Any], predictions: bool, unannotated: bool, odd: set[str]
) -> tuple[tuple[ImageEntry, ...], tuple[PersonEntry, ...]]:
    entries = field(content, "images", list, str(path))
    annotations = field(content, "annotations", list, str(path), **({"default": []} if unannotated else {}))
    if not entries:
        raise InputError(f"{path}: 'images' is empty; remove the file or restore its content")
    slots, width, category = _joints(path, content, odd)
    images = tuple(_image(entry, f"{path}: images[{i}]", predictions, odd) for i, entry in enumerate(entries))
    place: dict[int | None, int] = {}
    for i, image in enumerate(images):
        if image.image_id in place:
            raise InputError(f"{path}: two images have the id {image.image_id}; ids must be unique")
        place[image.image_id] = i
    people = []
    for i, annotation in enumerate(annotations):
        where = f"{path}: annotations[{i}]"
        image_id = field(annotation, "image_id", int, where)
        if image_id not in place:
            raise InputError(
                f"{where} names image_id {image_id}, which is not in 'images'; add the image or remove the annotation"
            )
        given = field(annotation, "category_id", int, where, default=category)
        if category is not None and given != category:
            raise InputError(
                f"{where}: category_id {annotation['category_id']} is not that of the category person, {category}; "
                "remove the annotation"
            )
        people.append(_person(annotation, place[image_id], slots, width, where, odd))
        if not predictions:
            check_absent(people[-1].keypoints, where)
    return images, tuple(people)


def _joints(path: pathlib.Path, content: dict[str, Any], odd: set[str]) -> tuple[np.ndarray, int, int | None]:
    """For each of the 17 slots the place in the file's keypoints (-1: none), their number, and the id of the category
    that the annotations must have, where there are several."""
    categories = field(content, "categories", list, str(path), default=[])
    number = 0
    if len(categories) > 1:
        named = [field(c, "name", str, f"{path}: categories[{i}]") == "person" for i, c in enumerate(categories)]
        if sum(named) != 1:
            raise InputError(f"{path}: 'categories' has {len(named)} entries, {sum(named)} of them person; leave one")
        number = named.index(True)
    where = f"{path}: categories[{number}]"
    names = field(categories[number], "keypoints", list, where, default=[]) if categories else []
    category = field(categories[number], "id", int, where) if len(categories) > 1 else None
    if not names:
        odd.add(UNNAMED)
        return np.arange(POSETRACK17.num_joints), POSETRACK17.num_joints, category
    slots = places(names, POSETRACK17, POSETRACK15.joints, f"{where}: 'keypoints'")
    if slots != tuple(range(POSETRACK17.num_joints)):
        odd.add(ORDER)
    return np.array(slots), len(names), category


def _image(entry: Any, where: str, predictions: bool, odd: set[str]) -> ImageEntry:
    image_id = field(entry, "id", int, where, default=None)
    if image_id is None:
        image_id = field(entry, "frame_id", int, where, default=None)
        odd.add(FRAME_ID)
    if image_id is None:
        raise InputError(f"{where}: key 'id' is missing; every image needs one")
    file_name = field(entry, "file_name", str, where, **({"default": None} if predictions else {}))
    if not predictions:
        file_name = checks.file_name(file_name, f"{where}: 'file_name'")
    return ImageEntry(
        where=where,
        image_id=image_id,
        file_name=file_name,
        is_labeled=field(entry, "is_labeled", bool, where, default=None),
        size=stated_size(entry, where),
        ignore_regions=_polygons(entry, where, odd),
        raw=entry,
    )


def stated_size(image: Any, where: str) -> tuple[int, int] | None:
    """(height, width) that an entry of `images` gives; None without."""
    size = tuple(field(image, key, int, where, default=None) for key in ("height", "width"))
    if any(length is not None and length < 1 for length in size):
        raise InputError(f"{where}: 'height' and 'width' must be positive, found {size[0]} and {size[1]}; correct them")
    if size.count(None) == 1:
        given, other = ("width", "height") if size[0] is None else ("height", "width")
        raise InputError(f"{where}: has a {given!r} and no {other!r}; add the one or remove the other")
    return None if None in size else size


def _polygons(entry: dict[str, Any], where: str, odd: set[str]) -> tuple[np.ndarray, ...]:
    axes = []
    for key in ("ignore_regions_x", "ignore_regions_y"):
        polygons = field(entry, key, list, where, default=[])
        if polygons and not isinstance(polygons[0], list):
            odd.add(POLYGON)
            polygons = [polygons]
        axes.append([numbers(polygon, None, f"{where}: {key!r}[{i}]") for i, polygon in enumerate(polygons)])
    if [len(polygon) for polygon in axes[0]] != [len(polygon) for polygon in axes[1]]:
        raise InputError(f"{where}: 'ignore_regions_x' and 'ignore_regions_y' differ in length; correct the polygons")
    return tuple(np.stack([x, y], axis=1) for x, y in zip(*axes) if x)


def _person(
    annotation: dict[str, Any], image: int, slots: np.ndarray, width: int, where: str, odd: set[str]
) -> PersonEntry:
    raw = numbers(field(annotation, "keypoints", list, where), 3 * width, f"{where}: 'keypoints'")
    known = slots >= 0
    keypoints, scores = np.zeros((len(slots), 3)), np.full(len(slots), np.nan)
    keypoints[known] = np.reshape(raw, (width, 3))[slots[known]]
    given = field(annotation, "scores", list, where, default=[])
    if given:
        scores[known] = np.array(numbers(given, width, f"{where}: 'scores'"))[slots[known]]
    heads = {key: _box(annotation, key, where) for key in ("bbox_head", "head_box")}
    head, other = heads["bbox_head"], heads["head_box"]
    if other is not None:
        if head is not None and not np.array_equal(head, other):
            raise InputError(f"{where}: 'bbox_head' and 'head_box' differ; remove the one that is wrong")
        odd.add(HEAD_BOX)
    track = field(annotation, "track_id", int, where, default=-1)
    return PersonEntry(
        where=where,
        image=image,
        keypoints=keypoints,
        present=(keypoints != 0).any(axis=-1),
        scores=scores,
        box=_box(annotation, "bbox", where),
        head_box=other if head is None else head,
        track_id=track if track >= 0 else None,
        identity=field(annotation, "id", int, where, default=None),
        person_index=field(annotation, "person_index", int, where, default=-1),
        listed=True,
        raw=annotation
        if width == len(slots) and (slots == np.arange(width)).all()
        else _ordered(annotation, slots, width, where),
    )


def _box(annotation: dict[str, Any], key: str, where: str) -> np.ndarray | None:
    """Four numbers; None where there are none: the key is missing, null or an empty list."""
    value = annotation.get(key)
    return None if value is None or value == [] else np.array(numbers(value, 4, f"{where}: {key!r}"))


def _ordered(annotation: dict[str, Any], slots: np.ndarray, width: int, where: str) -> dict[str, Any]:
    """The annotation with its lists per joint in PoseTrack18's order, as its keypoints are."""
    changed = dict(annotation)
    for key, (axis, fill) in PER_JOINT.items():
        if key in annotation:
            lists = typed(annotation[key], list, f"{where}: {key!r}")
            rows = [typed(row, list, f"{where}: {key!r}") for row in lists] if axis else [lists]
            if any(len(row) != width for row in rows):
                raise InputError(f"{where}: {key!r} must have {width} entries, one a joint; correct or remove it")
            rows = [[row[slot] if slot >= 0 else fill for slot in slots] for row in rows]
            changed[key] = rows if axis else rows[0]
    return changed

"""COCO person keypoints, for the training of backbones: single images, one annotation file a split."""

import pathlib
import re
from typing import Any

import numpy as np

from data_pipeline.annotations import Frame, Person, Video
from jmpose_jax import checks
from jmpose_jax.checks import field, numbers, read_json, typed
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17

SPLITS = ("train", "val")
# The images of a split are stored as the frames of one video. Their numbers lie so far apart that no clip ever takes
# another image for a neighbour in time.
FRAME_SPACING = 1000
MAX_IMAGES = 2**32 // FRAME_SPACING


def find_splits(source: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The annotation file of each split: `annotations/person_keypoints_{train,val}*.json`.

    Where files of several years lie there, the one is taken whose folder of images is there too.

    Args:
      source: the data set's folder, with `annotations/` and `train2017/`, `val2017/` (or these under `images/`).

    Raises:
      InputError: where the folder or the files are missing, or more than one year could be meant.
    """
    root = source / "annotations"
    if not root.is_dir():
        raise InputError(f"{source}: has no folder annotations/; is this the top folder of coco?")
    found = {}
    for split in SPLITS:
        files = sorted(root.glob(f"person_keypoints_{split}*.json"))
        with_images = [path for path in files if any(folder.is_dir() for folder in image_folders(source, path))]
        files = with_images or files
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise InputError(f"{root}: {names} are all of split {split!r}; leave one year's file and images there")
        if files:
            found[split] = files
    if not found:
        raise InputError(f"{root}: holds no annotation files; expected person_keypoints_{{train,val}}2017.json")
    return found


def image_folders(source: pathlib.Path, path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Where the images of an annotation file may lie, in the order that they are looked for."""
    name = path.stem.removeprefix("person_keypoints_")
    split = re.sub("[0-9]+$", "", name)
    return source / name, source / "images" / name, source / "images" / split, source / "images"


def read_split(source: pathlib.Path, files: list[pathlib.Path], split: str) -> list[Video]:
    """The images of a split as the frames of one video, by image id.

    Crowd regions are no people to estimate: they become ignore regions (their box). Keypoints stay in COCO's order
    (`skeletons.COCO17`); COCO has no tracks and no head boxes.

    Args:
      source: the data set's folder.
      files: the one annotation file.
      split: its name.

    Raises:
      InputError: naming the file and the place in it of the first fault.
    """
    (path,) = files
    content = read_json(path)
    images = field(content, "images", list, str(path))
    annotations = field(content, "annotations", list, str(path))
    if not images or len(images) > MAX_IMAGES:
        raise InputError(f"{path}: 'images' has {len(images)} entries; 1 to {MAX_IMAGES} can be read")
    category = _person_category(content, str(path))
    people, crowds = _people(path, annotations, category)
    folder = next((folder for folder in image_folders(source, path) if folder.is_dir()), source / path.stem)
    by_id: dict[int, str] = {}
    for i, image in enumerate(images):
        where = f"{path}: images[{i}]"
        identity = field(image, "id", int, where)
        if identity in by_id:
            raise InputError(f"{where}: the id {identity} is that of another image too; ids must be unique")
        by_id[identity] = checks.file_name(field(image, "file_name", str, where), f"{where}: 'file_name'")
    unknown = next((identity for identity in (*people, *crowds) if identity not in by_id), None)
    if unknown is not None:
        raise InputError(f"{path}: an annotation names image_id {unknown}, which is not in 'images'; remove it")
    frames = []
    for number, (identity, name) in enumerate(sorted(by_id.items())):
        frames.append(
            Frame(
                file_name=f"{folder.name}/{name}",
                path=folder / name,
                image_id=identity,
                number=number * FRAME_SPACING,
                is_labeled=True,
                persons=tuple(people.get(identity, ())),
                ignore_regions=tuple(crowds.get(identity, ())),
            )
        )
    return [Video(path.stem, path, tuple(frames))]


def _person_category(content: Any, where: str) -> int:
    """The id of the category whose keypoints are COCO's 17."""
    categories = field(content, "categories", list, where)
    for i, category in enumerate(categories):
        at = f"{where}: categories[{i}]"
        if field(category, "name", str, at) == "person":
            if tuple(field(category, "keypoints", list, at)) != COCO17.joints:
                raise InputError(f"{at}: its 'keypoints' are not COCO's 17 joints; is this a keypoint file of COCO?")
            return field(category, "id", int, at)
    raise InputError(f"{where}: 'categories' has no person; is this a keypoint file of COCO?")


def _people(
    path: pathlib.Path, annotations: list[Any], category: int
) -> tuple[dict[int, list[Person]], dict[int, list[np.ndarray]]]:
    people: dict[int, list[Person]] = {}
    crowds: dict[int, list[np.ndarray]] = {}
    for i, annotation in enumerate(annotations):
        where = f"{path}: annotations[{i}]"
        image_id = field(annotation, "image_id", int, where)
        if field(annotation, "category_id", int, where, default=category) != category:
            continue
        box = np.asarray(numbers(field(annotation, "bbox", list, where), 4, f"{where}: 'bbox'"), np.float32)
        if field(annotation, "iscrowd", bool, where, default=False):
            (x, y, w, h) = box
            crowds.setdefault(image_id, []).append(
                np.asarray([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
            )
            continue
        raw = numbers(field(annotation, "keypoints", list, where), 3 * COCO17.num_joints, f"{where}: 'keypoints'")
        keypoints = np.asarray(raw, np.float32).reshape(-1, 3)
        keypoints[keypoints[:, 2] == 0] = 0  # COCO: not labelled, whatever the position says
        extras = {"area": typed(annotation["area"], float, f"{where}: 'area'")} if "area" in annotation else {}
        identity = field(annotation, "id", int, where, default=-1)
        person = Person(keypoints, box, np.zeros(4, np.float32), -1, identity, extras)
        people.setdefault(image_id, []).append(person)
    return people, crowds

"""COCO person keypoints, for the training of backbones: single images, one annotation file a split."""

import pathlib
import re
from typing import Any

import numpy as np

from data_pipeline.sources.annotations import Frame, Person, Video
from jmpose_jax import checks
from jmpose_jax.checks import field, numbers, read_json, typed
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.files import MARK, ORDER, stated_size
from jmpose_jax.posetrack.joint_names import places
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
    category, slots = _person_category(content, str(path))
    known = {field(entry, "id", int, f"{path}: categories[{i}]") for i, entry in enumerate(content["categories"])}
    people, crowds = _people(path, annotations, category, slots, known)
    if annotations and not people and not crowds:
        others = sorted({annotation["category_id"] for annotation in annotations})
        raise InputError(
            f"{path}: no annotation has the category_id of person, {category}; theirs are {others[:5]}: correct "
            "them, or the id in 'categories'"
        )
    folder = next((folder for folder in image_folders(source, path) if folder.is_dir()), source / path.stem)
    by_id: dict[int, str] = {}
    sizes: dict[int, tuple[int, int] | None] = {}
    for i, image in enumerate(images):
        where = f"{path}: images[{i}]"
        identity = field(image, "id", int, where)
        if identity in by_id:
            raise InputError(f"{where}: the id {identity} is that of another image too; ids must be unique")
        by_id[identity] = checks.file_name(field(image, "file_name", str, where), f"{where}: 'file_name'")
        sizes[identity] = stated_size(image, where)
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
                stated_size=sizes[identity],
            )
        )
    odd = (MARK, checks.begins_with_mark(path)), (ORDER, slots != list(range(17)))
    return [Video(path.stem, path, tuple(frames), oddities=tuple(text for text, found in odd if found))]


def _person_category(content: Any, where: str) -> tuple[int, list[int]]:
    """The id of the category whose keypoints are COCO's 17, and the place of each of them in its list."""
    categories = field(content, "categories", list, where)
    for i, category in enumerate(categories):
        at = f"{where}: categories[{i}]"
        if field(category, "name", str, at) == "person":
            names = field(category, "keypoints", list, at)
            slots = places(names, COCO17, COCO17.joints, f"{at}: 'keypoints'")
            return field(category, "id", int, at), list(slots)
    raise InputError(f"{where}: 'categories' has no person; is this a keypoint file of COCO?")


def _people(
    path: pathlib.Path, annotations: list[Any], category: int, slots: list[int], known: set[Any]
) -> tuple[dict[int, list[Person]], dict[int, list[np.ndarray]]]:
    people: dict[int, list[Person]] = {}
    crowds: dict[int, list[np.ndarray]] = {}
    for i, annotation in enumerate(annotations):
        where = f"{path}: annotations[{i}]"
        image_id = field(annotation, "image_id", int, where)
        given = field(annotation, "category_id", int, where, default=category)
        if given not in known:
            raise InputError(f"{where}: category_id {given} is not in 'categories'; correct it, or add the category")
        if given != category:
            continue
        box = np.asarray(numbers(field(annotation, "bbox", list, where), 4, f"{where}: 'bbox'"))
        if field(annotation, "iscrowd", bool, where, default=False):
            (x, y, w, h) = box
            crowds.setdefault(image_id, []).append(np.asarray([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]))
            continue
        raw = numbers(field(annotation, "keypoints", list, where), 3 * COCO17.num_joints, f"{where}: 'keypoints'")
        keypoints = np.asarray(raw).reshape(-1, 3)[slots]
        keypoints[keypoints[:, 2] <= 0] = 0  # COCO: not labelled, whatever the position says
        extras = {"area": typed(annotation["area"], float, f"{where}: 'area'")} if "area" in annotation else {}
        identity = field(annotation, "id", int, where, default=-1)
        person = Person(keypoints, box, np.zeros(4), -1, identity, extras)
        people.setdefault(image_id, []).append(person)
    return people, crowds


def to_coco(video: Video) -> dict[str, Any]:
    """The images of a split as a COCO keypoint file, for files that came in another order, or were scaled."""
    images, annotations = [], []
    for frame in video.frames:
        size = {} if frame.stated_size is None else dict(zip(("height", "width"), frame.stated_size))
        name = frame.file_name.split("/", 1)[1]  # without the folder of the split
        images.append({"id": frame.image_id, "file_name": name, **size})
        for person in frame.persons:
            entry = _entry(frame.image_id, person.box.tolist(), 0)
            entry |= {"keypoints": person.keypoints.ravel().tolist(), "num_keypoints": int(person.annotated.sum())}
            annotations.append(
                entry | person.extras | ({"id": person.annotation_id} if person.annotation_id >= 0 else {})
            )
        for region in frame.ignore_regions:
            corner = region.min(axis=0)
            annotations.append(_entry(frame.image_id, [*corner.tolist(), *(region.max(axis=0) - corner).tolist()], 1))
    free = max((entry.get("id", 0) for entry in annotations), default=0)
    for entry in annotations:
        if "id" not in entry:
            free += 1
            entry["id"] = free
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO17.joints)}
    category["skeleton"] = [[a + 1, b + 1] for a, b in COCO17.limbs]
    return {"images": images, "annotations": annotations, "categories": [category]}


def _entry(image_id: int, box: list[float], crowd: int) -> dict[str, Any]:
    entry = {"image_id": image_id, "category_id": 1, "iscrowd": crowd, "bbox": box, "area": box[2] * box[3]}
    return entry | ({"keypoints": [0] * (3 * COCO17.num_joints), "num_keypoints": 0} if crowd else {})

"""PoseTrack18, PoseTrack21 and their form of the embedded data set: one JSON a video, or one merged JSON a split."""

import pathlib
import re
from typing import Any

import numpy as np

from data_pipeline.annotations import NUM_KEYPOINTS, Frame, Person, Video, box_of_keypoints
from jmpose_jax import checks
from jmpose_jax.checks import field, numbers, read_json, typed
from jmpose_jax.errors import InputError

ANNOTATION_FOLDERS = {
    "posetrack17": "annotations",
    "posetrack18": "annotations",
    "posetrack21": "posetrack_data",
    "synthetic": "annotations",
}
SPLITS = ("train", "val", "test")
PERSON_EXTRAS = ("joint_cause", "joint_speed", "joint_motion", "box_height", "blurred", "speed_regime")
FRAME_EXTRAS = ("blurred", "speed_regime", "has_no_densepose", "vid_id", "nframes")


def find_splits(source: pathlib.Path, dataset: str) -> dict[str, list[pathlib.Path]]:
    """The annotation files of each split.

    Args:
      source: the data set's folder.
      dataset: a key of `ANNOTATION_FOLDERS`.

    Returns:
      Split name to files, one a video; or the merged file `…_{split}.json` where there is no folder for the split.

    Raises:
      InputError: where the folder is missing, or holds no annotations.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give the folder that holds images/ and annotations/ as --source")
    root = source / ANNOTATION_FOLDERS[dataset]
    if not root.is_dir():
        raise InputError(f"{source}: has no folder {root.name}/; is this the top folder of {dataset}?")
    found = {}
    for split in SPLITS:
        files = sorted((root / split).glob("*.json"))
        if not files:
            files = sorted(p for p in root.glob(f"*_{split}.json"))[:1]
        if files:
            found[split] = files
    if not found:
        raise InputError(f"{root}: holds no annotation files; expected {root.name}/{{train,val,test}}/*.json")
    return found


def read_split(source: pathlib.Path, files: list[pathlib.Path], split: str) -> list[Video]:
    """The videos of one split, from its files, in the order of their names.

    Raises:
      InputError: naming the file and the place in it of the first fault.
    """
    videos = [video for file in files for video in read_file(source, file, unannotated=split == "test")]
    return unique_names(videos)


def unique_names(videos: list[Video]) -> list[Video]:
    """The videos in the order of their names, which must differ within a split."""
    names: dict[str, pathlib.Path] = {}
    for video in videos:
        if video.name in names:
            raise InputError(
                f"{video.annotation_file}: video {video.name} is annotated in {names[video.name]} too; remove one"
            )
        names[video.name] = video.annotation_file
    return sorted(videos, key=lambda video: video.name)


def read_file(source: pathlib.Path, path: pathlib.Path, unannotated: bool = False) -> list[Video]:
    """The videos of one annotation file: one for a file of the official form, several for a merged one.

    Args:
      source: folder that the file names of the images are relative to.
      path: the JSON file.
      unannotated: accept a file without annotations, as test splits are published.

    Returns:
      One video for each folder of images that the file names.

    Raises:
      InputError: naming file, key and index of the first fault.
    """
    content = read_json(path)
    images = field(content, "images", list, str(path))
    annotations = field(content, "annotations", list, str(path), **({"default": []} if unannotated else {}))
    if not images:
        raise InputError(f"{path}: 'images' is empty; remove the file or restore its content")
    persons = _persons_by_image(path, annotations)
    frames: dict[str, list[Frame]] = {}
    for i, image in enumerate(images):
        frame = _frame(source, image, persons, i, f"{path}: images[{i}]")
        frames.setdefault(str(pathlib.PurePosixPath(frame.file_name).parent), []).append(frame)
    ids = [frame.image_id for group in frames.values() for frame in group]
    _check_references(path, ids, annotations)
    # The official file is named like its folder of images. Names of a merged file's videos come from the folders.
    names = [path.stem] if len(frames) == 1 and not path.stem.startswith("posetrack") else map(_last_part, frames)
    extras = {key: content[key] for key in ("speed_regime",) if key in content}
    return [Video(name, path, in_time_order(path, group), extras) for name, group in zip(names, frames.values())]


def _persons_by_image(path: pathlib.Path, annotations: list[Any]) -> dict[int, list[Person]]:
    persons: dict[int, list[Person]] = {}
    for i, annotation in enumerate(annotations):
        where = f"{path}: annotations[{i}]"
        image_id = field(annotation, "image_id", int, where)
        persons.setdefault(image_id, []).append(read_person(annotation, where))
    return persons


def read_person(annotation: dict[str, Any], where: str) -> Person:
    """One entry of `annotations`; `where` starts the message of a fault."""
    raw = numbers(field(annotation, "keypoints", list, where), 3 * NUM_KEYPOINTS, f"{where}: 'keypoints'")
    keypoints = np.asarray(raw, np.float32).reshape(NUM_KEYPOINTS, 3)
    box = annotation.get("bbox")
    head = annotation.get("bbox_head", annotation.get("head_box"))
    return Person(
        keypoints=keypoints,
        box=box_of_keypoints(keypoints) if box is None else _box(box, f"{where}: 'bbox'"),
        head_box=np.zeros(4, np.float32) if head is None else _box(head, f"{where}: 'bbox_head'"),
        track_id=field(annotation, "track_id", int, where, default=-1),
        annotation_id=field(annotation, "id", int, where, default=-1),
        extras={key: annotation[key] for key in PERSON_EXTRAS if key in annotation},
    )


def _box(value: Any, where: str) -> np.ndarray:
    return np.asarray(numbers(value, 4, where), np.float32)


def _frame(source: pathlib.Path, image: Any, persons: dict[int, list[Person]], index: int, where: str) -> Frame:
    file_name = checks.file_name(field(image, "file_name", str, where), f"{where}: 'file_name'")
    image_id = field(image, "id", int, where, default=None)
    if image_id is None:
        image_id = field(image, "frame_id", int, where)
    people = tuple(persons.get(image_id, ()))
    stem = pathlib.PurePosixPath(file_name).stem
    return Frame(
        file_name=file_name,
        path=image_path(source, file_name),
        image_id=image_id,
        number=int(stem) if re.fullmatch("[0-9]{1,9}", stem) else index,
        is_labeled=field(image, "is_labeled", bool, where, default=bool(people)),
        persons=people,
        ignore_regions=_ignore_regions(image, where),
        extras={key: image[key] for key in FRAME_EXTRAS if key in image},
    )


def image_path(source: pathlib.Path, file_name: str) -> pathlib.Path:
    """Where the image lies: relative to the folder, or, as in files of the DCPose lineage, to its images/."""
    path = source / file_name
    return path if path.exists() or not (source / "images" / file_name).exists() else source / "images" / file_name


def _ignore_regions(image: dict[str, Any], where: str) -> tuple[np.ndarray, ...]:
    axes = []
    for key in ("ignore_regions_x", "ignore_regions_y"):
        polygons = field(image, key, list, where, default=[])
        # A single polygon is sometimes written without the outer list.
        polygons = [polygons] if polygons and not isinstance(polygons[0], list) else polygons
        axes.append([numbers(polygon, None, f"{where}: {key!r}[{i}]") for i, polygon in enumerate(polygons)])
    if [len(polygon) for polygon in axes[0]] != [len(polygon) for polygon in axes[1]]:
        raise InputError(f"{where}: 'ignore_regions_x' and 'ignore_regions_y' differ in length; correct the polygons")
    return tuple(np.stack([x, y], axis=1).astype(np.float32) for x, y in zip(*axes) if x)


def _check_references(path: pathlib.Path, ids: list[int], annotations: list[Any]) -> None:
    known = set(ids)
    if len(known) != len(ids):
        double = next(i for i in ids if ids.count(i) > 1)
        raise InputError(f"{path}: two images have the id {double}; ids must be unique")
    for i, annotation in enumerate(annotations):
        image_id = typed(annotation["image_id"], int, f"{path}: annotations[{i}]: 'image_id'")
        if image_id not in known:
            raise InputError(
                f"{path}: annotations[{i}] names image_id {image_id}, which is not in 'images'; "
                "add the image or remove the annotation"
            )


def in_time_order(path: pathlib.Path, frames: list[Frame]) -> tuple[Frame, ...]:
    """The frames by their number, which must differ."""
    ordered = sorted(frames, key=lambda frame: frame.number)
    for a, b in zip(ordered, ordered[1:]):
        if a.number == b.number:
            raise InputError(f"{path}: {a.file_name} and {b.file_name} are both frame {a.number}; remove one")
    return tuple(ordered)


def _last_part(folder: str) -> str:
    return pathlib.PurePosixPath(folder).name

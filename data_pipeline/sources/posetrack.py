"""PoseTrack18, PoseTrack21 and their form of the embedded data set: one JSON a video, or one merged JSON a split."""

import pathlib
import re
from typing import Any

import numpy as np

from data_pipeline.sources.annotations import Frame, Person, Video, box_of_keypoints
from jmpose_jax.checks import finite
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack import files as posetrack_files
from jmpose_jax.posetrack.entries import AnnotationFile, ImageEntry, PersonEntry

ANNOTATION_FOLDERS = {
    "posetrack17": "annotations",
    "posetrack18": "annotations",
    "posetrack21": "posetrack_data",
    "synthetic": "annotations",
}
SPLITS = ("train", "val", "test")
PERSON_EXTRAS = ("joint_cause", "joint_speed", "joint_motion", "box_height", "blurred", "speed_regime")
FRAME_EXTRAS = ("blurred", "speed_regime", "has_no_densepose", "vid_id", "nframes")
VIDEO_EXTRAS = ("speed_regime",)


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
    file = of_form(posetrack_files.read_file(path, unannotated=unannotated), "posetrack18")
    persons = persons_by_image(file)
    frames: dict[str, list[Frame]] = {}
    for i, image in enumerate(file.images):
        frame = _frame(source, image, tuple(persons.get(i, ())), i)
        frames.setdefault(str(pathlib.PurePosixPath(frame.file_name).parent), []).append(frame)
    # The official file is named like its folder of images. Names of a merged file's videos come from the folders.
    names = [path.stem] if len(frames) == 1 and not path.stem.startswith("posetrack") else map(_last_part, frames)
    extras = {key: finite(file.content[key], f"{path}: {key!r}") for key in VIDEO_EXTRAS if key in file.content}
    return [
        Video(name, path, in_time_order(path, group), extras, file.oddities)
        for name, group in zip(names, frames.values())
    ]


def of_form(file: AnnotationFile, form: str) -> AnnotationFile:
    """The file, which must be of the form that the data set's name says."""
    if file.form != form:
        raise InputError(f"{file.path}: is of the form of {file.form}; use --dataset {file.form}")
    return file


def persons_by_image(file: AnnotationFile) -> dict[int, list[Person]]:
    """The people of a file by the place of their image, in the order of the file."""
    persons: dict[int, list[Person]] = {}
    for entry in file.people:
        persons.setdefault(entry.image, []).append(_person(entry))
    return persons


def _person(entry: PersonEntry) -> Person:
    return Person(
        keypoints=entry.keypoints,
        box=box_of_keypoints(entry.keypoints) if entry.box is None else entry.box,
        head_box=np.zeros(4) if entry.head_box is None else entry.head_box,
        track_id=-1 if entry.track_id is None else entry.track_id,
        annotation_id=-1 if entry.identity is None else entry.identity,
        extras=_extras(entry, PERSON_EXTRAS),
    )


def _extras(entry: PersonEntry | ImageEntry, names: tuple[str, ...]) -> dict[str, Any]:
    return {key: finite(entry.raw[key], f"{entry.where}: {key!r}") for key in names if key in entry.raw}


def _frame(source: pathlib.Path, image: ImageEntry, people: tuple[Person, ...], index: int) -> Frame:
    stem = pathlib.PurePosixPath(image.file_name).stem
    return Frame(
        file_name=image.file_name,
        path=image_path(source, image.file_name),
        image_id=image.image_id,
        number=int(stem) if re.fullmatch("[0-9]{1,9}", stem) else index,
        is_labeled=bool(people) if image.is_labeled is None else image.is_labeled,
        persons=people,
        ignore_regions=image.ignore_regions,
        extras=_extras(image, FRAME_EXTRAS),
        stated_size=image.size,
    )


def image_path(source: pathlib.Path, file_name: str) -> pathlib.Path:
    """Where the image lies: relative to the folder, or, as in files of the DCPose lineage, to its images/."""
    path = source / file_name
    return path if path.exists() or not (source / "images" / file_name).exists() else source / "images" / file_name


def in_time_order(path: pathlib.Path, frames: list[Frame]) -> tuple[Frame, ...]:
    """The frames by their number, which must differ."""
    ordered = sorted(frames, key=lambda frame: frame.number)
    for a, b in zip(ordered, ordered[1:]):
        if a.number == b.number:
            raise InputError(f"{path}: {a.file_name} and {b.file_name} are both frame {a.number}; remove one")
    return tuple(ordered)


def _last_part(folder: str) -> str:
    return pathlib.PurePosixPath(folder).name

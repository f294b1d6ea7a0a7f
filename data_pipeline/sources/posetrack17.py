"""PoseTrack17: the annolist form of the MPII era, in which every value sits in a list of one."""

import pathlib
import re

from data_pipeline.sources.annotations import Frame, Video
from data_pipeline.sources.posetrack import image_path, in_time_order, of_form, persons_by_image, unique_names
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack import files as posetrack_files

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
    file = of_form(posetrack_files.read_file(path), "posetrack17")
    persons = persons_by_image(file)
    stems = [pathlib.PurePosixPath(image.file_name).stem for image in file.images]
    numbered = all(re.fullmatch("[0-9]{1,9}", stem) for stem in stems)
    frames = []
    for i, image in enumerate(file.images):
        number = int(stems[i]) if numbered else i
        frames.append(
            Frame(
                file_name=image.file_name,
                path=image_path(source, image.file_name),
                image_id=image_id(image.file_name, number, place),
                number=number,
                is_labeled=bool(image.is_labeled),
                persons=tuple(persons.get(i, ())),
                ignore_regions=image.ignore_regions,
            )
        )
    return Video(path.stem, path, in_time_order(path, frames), oddities=file.oddities)


def image_id(file_name: str, number: int, place: int) -> int:
    """PoseTrack18's id of a frame: source · 10^10 + sequence · 10^4 + frame."""
    match = re.match("([0-9]{1,6})_(mpiinew|mpii|bonn)", pathlib.PurePosixPath(file_name).parent.name)
    kind, sequence = (SOURCES[match[2]], int(match[1])) if match else (OTHER_SOURCE, place)
    return kind * 10**10 + sequence * 10**4 + number

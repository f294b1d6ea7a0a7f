"""PoseTrack annotation and result files, both forms, as sequences: what `posetrack_files` reads, in columns.

A joint of the 18 form is absent where x = y = visibility = 0; in the 17 form it is simply not listed. The visibility
flag has no other meaning to the official evaluator.
"""

import dataclasses
import pathlib

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.sequence import MISSING_SCORE, Sequence
from jmpose_jax.posetrack.entries import HEAD_SIZE_FACTOR, AnnotationFile, PersonEntry, head_size
from jmpose_jax.posetrack.files import read_file
from jmpose_jax.posetrack.frame_names import time_order
from jmpose_jax.skeletons import POSETRACK17_TO_15

__all__ = ["HEAD_SIZE_FACTOR", "read_sequence", "to_sequence"]


def read_sequence(path: str | pathlib.Path, ground_truth: bool = False) -> Sequence:
    """Read one video's file of either form.

    Args:
      path: the JSON file.
      ground_truth: demand a head box of every person with joints, and number the persons of a frame; else the numbers
        are those of the key `person_index`, -1 without it.

    Raises:
      InputError: naming the file, and the annotation where one is at fault.
    """
    return to_sequence(read_file(path, predictions=not ground_truth), ground_truth)


def to_sequence(file: AnnotationFile, ground_truth: bool = False) -> Sequence:
    """The content of a file in columns; see `read_sequence`."""
    path = file.path
    # Predictions follow the ground truth, and those without names their own list.
    order = np.arange(len(file.images))
    if ground_truth:
        order = np.array(time_order([image.file_name for image in file.images], str(path)))
    images, place = [file.images[i] for i in order], np.argsort(order)
    people = sorted((person for person in file.people if person.listed), key=lambda person: place[person.image])
    slots, count = list(POSETRACK17_TO_15), len(people)
    frame = place[np.array([person.image for person in people], np.int64)]
    keypoints = np.array([person.keypoints for person in people]).reshape(count, 17, 3)[:, slots, :2]
    scores = np.array([person.scores for person in people]).reshape(count, 17)[:, slots]
    with_ids = file.form == "posetrack18"
    image_ids = [image.image_id for image in images] if with_ids else range(1, len(images) + 1)
    sequence = Sequence(
        name=path.stem,
        image_ids=np.array(image_ids, np.int64),
        labelled=np.isin(order, [person.image for person in file.people]),
        frame=frame,
        keypoints=keypoints,
        present=np.array([person.present for person in people], bool).reshape(count, 17)[:, slots],
        scores=np.where(np.isnan(scores), MISSING_SCORE, scores),
        head_sizes=np.array([head_size(person.head_box) for person in people]),
        track_ids=_track_ids(people, frame),
        person_index=np.array([person.person_index for person in people], np.int64),
        ignore_regions=tuple(tuple(p for p in image.ignore_regions if len(p) > 2) for image in images),
        has_ids=with_ids,
        names=tuple(image.file_name for image in images),
        in_order=bool((order == np.arange(len(order))).all()),
        unnamed_joints=file.unnamed_joints,
        source=str(path),
    )
    if ground_truth:
        without = np.isnan(sequence.head_sizes) & sequence.present.any(axis=1)
        if without.any():
            where = people[int(np.argmax(without))].where
            raise InputError(f"{where}: a person with joints has no head box; ground truth needs bbox_head")
        return dataclasses.replace(sequence, person_index=_position_in_frame(frame))
    return sequence


def _position_in_frame(frame: np.ndarray) -> np.ndarray:
    """0, 1, 2, … within each run of equal values of an ascending array."""
    return np.arange(len(frame)) - np.searchsorted(frame, frame)


def _track_ids(people: list[PersonEntry], frame: np.ndarray) -> np.ndarray:
    """The tracks of people in the order of frames, unique within a frame.

    The lineage numbers the persons of a frame where nothing was tracked; so do we where the file leaves ids out.
    """
    used: set[tuple[int, int]] = set()
    for person in people:
        if person.track_id is None:
            continue
        if (person.image, person.track_id) in used:
            raise InputError(
                f"{person.where}: its track_id occurs twice in that image ({person.track_id}); "
                "ids are unique within a frame"
            )
        used.add((person.image, person.track_id))
    tracks = []
    for person, number in zip(people, _position_in_frame(frame).tolist()):
        if person.track_id is None:
            while (person.image, number) in used:
                number += 1
            used.add((person.image, number))
        tracks.append(number if person.track_id is None else person.track_id)
    return np.array(tracks, np.int64)

"""CrowdIndex of an image (CrowdPose), and the crowded frames of a PoseTrack ground truth."""

import dataclasses
import os
import pathlib
import shutil

import numpy as np

from jmpose_jax.checks import finite, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.files import json_files, write_json
from jmpose_jax.metrics.reading import to_sequence
from jmpose_jax.posetrack.files import read_file

MEDIUM, HARD = 0.2, 0.8  # where CrowdPose's evaluation parts easy, medium and hard images
CHALLENGING = 0.2


def crowd_index(points: np.ndarray, labelled: np.ndarray, boxes: np.ndarray) -> float:
    """How much the people of an image stand in each other's way.

    The mean over people of (labelled joints of others inside the person's box) / (labelled joints of the person); it
    may exceed 1. People without a labelled joint do not count.

    Args:
      points: float [N, K, 2], pixels.
      labelled: bool [N, K].
      boxes: float [N, 4], (x, y, width, height).

    Returns:
      CrowdIndex; 0 for an image without people.
    """
    points, labelled, boxes = np.asarray(points, float), np.asarray(labelled, bool), np.asarray(boxes, float)
    own = labelled.sum(axis=1)
    people = np.flatnonzero(own)
    if not len(people):
        return 0.0
    low, high = boxes[:, None, None, :2], (boxes[:, :2] + boxes[:, 2:])[:, None, None]
    inside = np.all((points[None] >= low) & (points[None] <= high), axis=-1) & labelled[None]  # [box, person, joint]
    counts = inside.sum(axis=2)
    others = counts.sum(axis=1) - np.diagonal(counts)
    return float(np.mean(others[people] / own[people]))


@dataclasses.dataclass(frozen=True)
class ChosenFrame:
    """A frame of the subset: its video, image id, file name and CrowdIndex."""

    video: str
    image_id: int
    file_name: str
    crowd_index: float


def choose_frames(annotations: pathlib.Path, threshold: float) -> list[ChosenFrame]:
    """The labelled frames of a ground truth whose CrowdIndex is at least `threshold`.

    Args:
      annotations: folder of PoseTrack18 files; boxes are their `bbox`, joints the 15 that are scored.
      threshold: least CrowdIndex.

    Returns:
      In the order of files and, within them, of time.

    Raises:
      InputError: where the folder holds no annotations, a file is at fault, or no frame is crowded enough.
    """
    chosen, highest = [], 0.0
    for path in json_files(annotations):
        file = read_file(path)
        sequence = to_sequence(file, ground_truth=True)
        if file.form != "posetrack18":
            raise InputError(f"{path}: is not of the PoseTrack18 form; boxes of people are needed")
        boxes: dict[int, list[np.ndarray]] = {}
        for person in file.people:
            if person.box is None:
                raise InputError(f"{person.where} has no 'bbox' of 4 numbers; CrowdIndex needs it")
            boxes.setdefault(file.images[person.image].image_id, []).append(person.box)
        for frame, image_id in enumerate(sequence.image_ids.tolist()):
            people = sequence.frame == frame
            if not people.any():
                continue
            index = crowd_index(sequence.keypoints[people], sequence.present[people], boxes[image_id])
            highest = max(highest, index)
            if index >= threshold:
                chosen.append(ChosenFrame(path.stem, image_id, sequence.names[frame], round(index, 4)))
    if not chosen:
        raise InputError(
            f"{annotations}: no frame has a CrowdIndex of {threshold} or more (the highest is {highest:.2f}); lower it"
        )
    return chosen


def write_subset(annotations: pathlib.Path, output: pathlib.Path, threshold: float = CHALLENGING) -> list[ChosenFrame]:
    """Write the ground truth with the people of chosen frames alone, and `frames.json`, the list of these frames.

    The frames stay in the files without people, so that predictions of whole videos are scored against them; the
    evaluator leaves frames without people out.

    Args:
      annotations: folder of PoseTrack18 files.
      output: folder to write; gets `annotations/` and `frames.json`. An earlier one is replaced.
      threshold: least CrowdIndex.

    Returns:
      The chosen frames.
    """
    chosen = choose_frames(annotations, threshold)
    keep = {(frame.video, frame.image_id) for frame in chosen}
    stage = output.with_name(f"{output.name}.tmp-{os.getpid()}")
    try:
        (stage / "annotations").mkdir(parents=True)
        for path in sorted(annotations.glob("*.json")):
            content = finite(read_json(path), str(path))
            content["annotations"] = [a for a in content["annotations"] if (path.stem, a["image_id"]) in keep]
            write_json(stage / "annotations" / path.name, content, indent=None)
        listing = {"crowd_index_at_least": threshold, "frames": [dataclasses.asdict(frame) for frame in chosen]}
        write_json(stage / "frames.json", listing)
        shutil.rmtree(output, ignore_errors=True)
        os.replace(stage, output)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return chosen

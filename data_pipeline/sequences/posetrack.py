"""Predictions in PoseTrack18 form beside the ground truth: tracks as sequences of 15 joints in pixels."""

import pathlib

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_pipeline.sequences.records import PIXELS, PoseSequence, SequenceSet
from jmpose_jax.errors import InputError
from jmpose_jax.files import json_files
from jmpose_jax.posetrack.entries import AnnotationFile, PersonEntry
from jmpose_jax.posetrack.files import read_file
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17_TO_15

NEAR = 0.5  # of the true person's size: a pose that is farther off on average is of somebody else
SHORTEST = 3  # frames


def read_posetrack(root: str, estimates: str, split: str) -> SequenceSet:
    """Every predicted track of a split.

    A track is a sequence from its first frame to its last; frames without its pose are gaps. In each labelled frame
    predictions and people are matched one to one by the mean distance of their joints; the truth is that person's,
    whatever the track's identity, and frames without labels have none.

    Args:
      root: an output of `jmpose prepare`, or a folder with `annotations/SPLIT/*.json`.
      estimates: folder with `SPLIT/*.json`, or the result files of this split themselves: one a video.
      split: name of the folders.

    Raises:
      InputError: folders or files are missing or at fault, or predictions name frames that the truth has not.
    """
    truth = pathlib.Path(root) / "annotations" / split
    if not root or not truth.is_dir():
        raise InputError(f"root={root}: has no folder annotations/{split}; give an output of `jmpose prepare`")
    if not estimates:
        raise InputError("estimates is empty; give the folder of `predictions/` that `jmpose evaluate` wrote")
    folder = pathlib.Path(estimates)
    folder = folder / split if (folder / split).is_dir() else folder
    found, skipped = [], {"videos without predictions": 0, "tracks of under 3 frames": 0, "poses matched to nobody": 0}
    for path in json_files(truth):
        if not (folder / path.name).is_file():
            skipped["videos without predictions"] += 1
            continue
        tracks, counts = _tracks(path, folder / path.name)
        found += tracks
        for what, count in counts.items():
            skipped[what] += count
    return SequenceSet(tuple(found), POSETRACK15.joints, PIXELS, (), skipped)


def _tracks(truth_file: pathlib.Path, found_file: pathlib.Path) -> tuple[list[PoseSequence], dict[str, int]]:
    truth, found = read_file(truth_file, unannotated=True), read_file(found_file, predictions=True)
    frames = _frames(truth)
    places = []
    for image in found.images:
        key = image.image_id if image.image_id is not None else image.file_name
        if key not in frames:
            raise InputError(f"{found_file}: frame {key} is not in {truth_file}; give the predictions of this video")
        places.append(frames[key])
    people, poses = ([[] for _ in truth.images] for _ in range(2))
    for person in truth.people:
        people[person.image].append(person)
    for person in found.people:
        poses[places[person.image]].append(person)
    count = len(truth.images)
    tracks: dict[int, dict[int, tuple[PersonEntry, PersonEntry | None]]] = {}
    nobody = 0
    for frame in range(count):
        matched = _matched(poses[frame], people[frame])
        nobody += sum(true is None for true in matched) if people[frame] else 0
        for person, true in zip(poses[frame], matched):
            if person.track_id is None:
                raise InputError(
                    f"{person.where}: has no track_id, and sequences are made of tracks; predict with them"
                )
            if frame in tracks.setdefault(person.track_id, {}):
                raise InputError(f"{person.where}: track_id {person.track_id} stands twice in a frame; correct it")
            tracks[person.track_id][frame] = (person, true)
    sequences, short = [], 0
    for track, seen in sorted(tracks.items()):
        if len(seen) < SHORTEST:
            short += 1
            continue
        first, last = min(seen), max(seen)
        shape = (last - first + 1, POSETRACK15.num_joints, 2)
        estimated, target = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        scale = np.full(shape[0], np.nan, np.float32)
        for frame, (person, true) in seen.items():
            estimated[frame - first] = _joints(person)
            if true is not None:
                target[frame - first] = _joints(true)
                scale[frame - first] = _size(true)
        sequences.append(PoseSequence(f"{truth_file.stem}/{track}", estimated, target, scale))
    return sequences, {"tracks of under 3 frames": short, "poses matched to nobody": nobody}


def _frames(truth: AnnotationFile) -> dict[object, int]:
    """Places of the frames by id and by file name."""
    places: dict[object, int] = {}
    for place, image in enumerate(truth.images):
        for key in (image.image_id, image.file_name):
            if key is not None:
                places[key] = place
    return places


def _joints(person: PersonEntry) -> np.ndarray:
    """float32 [15, 2], NaN where the joint is not there."""
    order = list(POSETRACK17_TO_15)
    return np.where(person.present[order, None], person.keypoints[order, :2], np.nan).astype(np.float32)


def _size(person: PersonEntry) -> float:
    """The longer side of the person's box, pixels."""
    if person.box is not None:
        return float(max(person.box[2:]))
    joints = _joints(person)
    return float((np.nanmax(joints, axis=0) - np.nanmin(joints, axis=0)).max()) if np.isfinite(joints).any() else 0.0


def _matched(poses: list[PersonEntry], people: list[PersonEntry]) -> list[PersonEntry | None]:
    """The true person of each pose, or None."""
    if not poses or not people:
        return [None] * len(poses)
    found, true = (np.stack([_joints(each) for each in side]) for side in (poses, people))
    apart = np.linalg.norm(found[:, None] - true[None], axis=-1)
    known = np.isfinite(apart)
    size = np.maximum([_size(person) for person in people], 1.0)
    cost = np.where(known, apart, 0.0).sum(-1) / np.maximum(known.sum(-1), 1) / size
    cost[~known.any(-1)] = 2 * NEAR
    result: list[PersonEntry | None] = [None] * len(poses)
    for pose, person in zip(*linear_sum_assignment(cost)):
        if cost[pose, person] <= NEAR:
            result[pose] = people[person]
    return result

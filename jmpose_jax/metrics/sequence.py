"""The poses of one video as columns of arrays, ground truth and predictions alike: what the PoseTrack metrics read."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.frame_names import places_by_name, strangers
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import POSETRACK15

# What the official evaluator puts where a prediction carries no score.
MISSING_SCORE = -9999.0


@dataclasses.dataclass(frozen=True)
class Sequence:
    """F frames and N persons of one video; persons are ordered by frame, within a frame as in the file.

    Attributes:
      name: the video's name, the stem of its file.
      image_ids: int64 [F], in the order of time.
      labelled: bool [F], frames with an annotated person; only those are compared.
      frame: int64 [N], the frame (index into `image_ids`) of each person, ascending.
      keypoints: float64 [N, 15, 2], image pixels, order of `skeletons.POSETRACK15`.
      present: bool [N, 15], annotated or predicted joints.
      scores: float64 [N, 15].
      head_sizes: float64 [N], 0.6 × diagonal of the head box; NaN for predictions.
      track_ids: int64 [N].
      person_index: int64 [N], position among the annotations of the frame. In predictions: of the annotated person in
        whose box the pose was estimated, -1 where the box came from a detector.
      ignore_regions: for each frame its polygons, float64 [P, 2] each; empty for predictions.
      has_ids: whether the file gives image ids; those of PoseTrack17 files are paired by their names.
      names: of the images' files, in the order of `image_ids`; None where predictions leave one out, empty without any.
      in_order: whether the file lists the frames in the order of time.
      unnamed_joints: whether the file does not name its joints, so that their order is taken for granted.
      source: where it was read, for messages.
    """

    name: str
    image_ids: np.ndarray
    labelled: np.ndarray
    frame: np.ndarray
    keypoints: np.ndarray
    present: np.ndarray
    scores: np.ndarray
    head_sizes: np.ndarray
    track_ids: np.ndarray
    person_index: np.ndarray
    ignore_regions: tuple[tuple[np.ndarray, ...], ...] = ()
    has_ids: bool = True
    names: tuple[str | None, ...] = ()
    in_order: bool = True
    unnamed_joints: bool = False
    source: str = ""

    @property
    def num_frames(self) -> int:
        return len(self.image_ids)

    @property
    def num_persons(self) -> int:
        return len(self.frame)

    def label(self) -> str:
        return self.source or self.name


PERSON_COLUMNS = ("frame", "keypoints", "present", "scores", "head_sizes", "track_ids", "person_index")


def keep_persons(sequence: Sequence, keep: np.ndarray) -> Sequence:
    """The sequence with the persons where bool [N] `keep` holds."""
    return dataclasses.replace(sequence, **{name: getattr(sequence, name)[keep] for name in PERSON_COLUMNS})


def keep_frames(sequence: Sequence, frames: np.ndarray) -> Sequence:
    """The sequence with the frames of int [M] `frames`, in that order."""
    new_index = np.full(sequence.num_frames, -1, np.int64)
    new_index[frames] = np.arange(len(frames))
    persons = keep_persons(sequence, new_index[sequence.frame] >= 0)
    order = np.argsort(new_index[persons.frame], kind="stable")
    persons = keep_persons(persons, order)
    return dataclasses.replace(
        persons,
        frame=new_index[persons.frame],
        image_ids=sequence.image_ids[frames],
        labelled=sequence.labelled[frames],
        names=tuple(sequence.names[i] for i in frames) if sequence.names else (),
        ignore_regions=tuple(sequence.ignore_regions[i] for i in frames) if sequence.ignore_regions else (),
    )


def align_frames(predictions: Sequence, ground_truth: Sequence) -> Sequence:
    """The predictions with their frames in the order of the ground truth.

    Frames are the same where their ids are, or without ids their names; by position they are paired only where the
    predictions name none.

    Raises:
      InputError: where the frames are not the same ones, or ids and names contradict each other.
    """
    if predictions.has_ids and ground_truth.has_ids:
        places = _places_by_id(predictions, ground_truth)
    elif predictions.names and ground_truth.names and None not in (*predictions.names, *ground_truth.names):
        places = places_by_name(predictions.names, ground_truth.names)
        if places is None:
            raise _different(predictions, ground_truth, predictions.names, ground_truth.names, "images")
    else:
        places = _places_by_position(predictions, ground_truth)
    return predictions if np.array_equal(places, np.arange(len(places))) else keep_frames(predictions, places)


def _places_by_id(predictions: Sequence, ground_truth: Sequence) -> np.ndarray:
    wanted, found = ground_truth.image_ids.tolist(), predictions.image_ids.tolist()
    place = {image_id: i for i, image_id in enumerate(found)}
    if place.keys() != set(wanted):
        raise _different(predictions, ground_truth, found, wanted, "image ids")
    places = np.array([place[i] for i in wanted], np.int64)
    if predictions.names and ground_truth.names and None not in (*predictions.names, *ground_truth.names):
        named = places_by_name(predictions.names, ground_truth.names)
        if named is None:  # other frames are named, or the same ones shifted: what both name must agree
            where = {_tail(name): i for i, name in enumerate(predictions.names)}
            named = np.array([where.get(_tail(name), p) for name, p in zip(ground_truth.names, places)], np.int64)
        if not np.array_equal(named, places):
            i = int(np.argmax(named != places))
            raise InputError(
                f"{predictions.label()}: its image of id {wanted[i]} is {predictions.names[places[i]]}, that of the "
                f"ground truth is {ground_truth.names[i]}; correct the ids or the file names"
            )
    return places


def _tail(name: str) -> tuple[str, ...]:
    """A file's name and its folder, which say the video and the frame whatever the data set's folder."""
    return pathlib.PurePosixPath(name).parts[-2:]


def _places_by_position(predictions: Sequence, ground_truth: Sequence) -> np.ndarray:
    if any(predictions.names):
        unnamed = predictions.names.index(None)
        raise InputError(
            f"{predictions.label()}: entry {unnamed} names no image, others do; name the images of all entries"
        )
    if predictions.num_frames != ground_truth.num_frames:
        raise InputError(
            f"{predictions.label()}: {predictions.num_frames} images, the ground truth of {ground_truth.name} has "
            f"{ground_truth.num_frames}; list every image of the video, also those without a pose"
        )
    if not ground_truth.in_order:
        raise InputError(
            f"{predictions.label()}: names no images, and {ground_truth.label()} does not list its own in the order of "
            "time, so that nobody knows which belong together; name the images of the predictions"
        )
    return np.arange(predictions.num_frames)


def _different(predictions: Sequence, ground_truth: Sequence, found: Any, wanted: Any, what: str) -> InputError:
    """Predictions of other frames than the ground truth's: names the first that either side lacks."""
    if what == "images":
        missing, extra = strangers(wanted, found), strangers(found, wanted)
    else:
        missing, extra = ([i for i in a if i not in set(b)] for a, b in ((wanted, found), (found, wanted)))
    lacks = []
    if missing:
        lacks.append(f"{len(missing)} {what} of the ground truth are absent, the first is {missing[0]}")
    if extra:
        lacks.append(f"{len(extra)} {what} are not in the ground truth, the first is {extra[0]}")
    return InputError(
        f"{predictions.label()}: {predictions.num_frames} images, the ground truth of {ground_truth.name} has "
        f"{ground_truth.num_frames}; {' and '.join(lacks) or 'their names do not tell them apart'}; "
        f"list every image of the video with the {'name' if what == 'images' else 'id'} of the annotation file"
    )


def from_predictions(predictions: Predictions, person_index: np.ndarray | None = None) -> Sequence:
    """The in-memory predictions of a video as a sequence.

    Args:
      predictions: N poses.
      person_index: int [N], the annotated person whose box each pose was estimated in; None for detections.

    Raises:
      InputError: where a pose names an image that is not listed, a coordinate or score is not finite, or the joints are
        not PoseTrack's 15.
    """
    if predictions.skeleton.name != POSETRACK15.name:
        raise InputError(
            f"predictions of {predictions.video}: their joints are of {predictions.skeleton.name}, scored are those of "
            f"{POSETRACK15.name}; reorder them with joint_orders.to_posetrack15"
        )
    for name in ("keypoints", "scores"):
        if not np.isfinite(getattr(predictions, name)).all():
            raise InputError(f"predictions of {predictions.video}: its {name} are not all finite; correct them")
    image_ids = np.array([image["id"] for image in predictions.images], np.int64)
    place = {image_id: i for i, image_id in enumerate(image_ids.tolist())}
    strangers = sorted(set(predictions.image_id.tolist()) - place.keys())
    if strangers:
        raise InputError(f"predictions of {predictions.video}: image id {strangers[0]} is not among the images")
    frame = np.array([place[i] for i in predictions.image_id.tolist()], np.int64)
    count = len(frame)
    index = np.full(count, -1, np.int64) if person_index is None else np.asarray(person_index, np.int64)
    sequence = Sequence(
        name=predictions.video,
        image_ids=image_ids,
        labelled=np.isin(np.arange(len(image_ids)), frame),
        frame=frame,
        keypoints=np.asarray(predictions.keypoints, np.float64).reshape(count, -1, 2),
        present=np.ones((count, predictions.keypoints.shape[1]), bool),
        scores=np.asarray(predictions.scores, np.float64),
        head_sizes=np.full(count, np.nan),
        track_ids=np.asarray(predictions.track_id, np.int64),
        person_index=index,
    )
    return keep_persons(sequence, np.argsort(frame, kind="stable"))

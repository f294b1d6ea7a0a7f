"""Poses to files: PoseTrack18 result JSON and a CSV table, each written whole or not at all."""

import csv
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text, write_json
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, POSETRACK17_TO_15


def category() -> dict[str, Any]:
    """The entry of `categories` that the official evaluator reads the joint order from."""
    skeleton = [[a + 1, b + 1] for a, b in POSETRACK17.limbs]
    return {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(POSETRACK17.joints),
        "skeleton": skeleton,
    }


def to_posetrack18(
    predictions: Predictions,
    person_index: np.ndarray | None = None,
    box_source: str | None = None,
    lost_frames: Sequence[int] = (),
) -> dict[str, Any]:
    """The content of a PoseTrack18 result file.

    Args:
      predictions: the poses of one video.
      person_index: int [N], the annotated person whose box each pose was estimated in, where that is so; kept in the
        file as `person_index`, which `metrics.posetrack.restrict` reads.
      box_source: where the boxes came from; kept in the file as `box_source`.
      lost_frames: numbers of the frames whose pictures the damaged video does not hold; kept as `lost_frames`.

    Returns:
      `images`, `annotations` with 17 slots (ears 0, 0, 0), `scores` and `track_id`, and `categories`.

    Raises:
      InputError: a number is not finite: no reader takes it, and as a score it would rank above or below all others.
    """
    _check(predictions)
    slots = list(POSETRACK17_TO_15)
    count = len(predictions.image_id)
    keypoints = np.zeros((count, POSETRACK17.num_joints, 3), np.float32)
    keypoints[:, slots, :2] = predictions.keypoints
    keypoints[:, slots, 2] = 1
    scores = np.zeros((count, POSETRACK17.num_joints), np.float32)
    scores[:, slots] = predictions.scores
    annotations, in_image = [], {}
    for n in range(count):
        image_id = int(predictions.image_id[n])
        place = in_image.get(image_id, 0)
        in_image[image_id] = place + 1
        annotation = {
            "image_id": image_id,
            "id": image_id * 100 + place,
            "category_id": 1,
            "track_id": int(predictions.track_id[n]),
            "bbox": _numbers(predictions.boxes[n]),
            "keypoints": _numbers(keypoints[n].ravel()),
            "scores": _numbers(scores[n]),
        }
        if person_index is not None:
            annotation["person_index"] = int(person_index[n])
        annotations.append(annotation)
    source: dict[str, Any] = {} if box_source is None else {"box_source": box_source}
    if lost_frames:
        source["lost_frames"] = list(lost_frames)
    return {**source, "images": list(predictions.images), "annotations": annotations, "categories": [category()]}


def write_posetrack18(
    predictions: Predictions,
    path: str | os.PathLike,
    person_index: np.ndarray | None = None,
    box_source: str | None = None,
    lost_frames: Sequence[int] = (),
) -> None:
    """Write `to_posetrack18` as JSON."""
    write_json(path, to_posetrack18(predictions, person_index, box_source, lost_frames), indent=None)


def check_finite(
    video: str, frame: int | np.ndarray, boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray
) -> None:
    """Refuse what no reader of JSON takes, and what as a score would rank above or below all others.

    Args:
      video: its name.
      frame: the number of the frame, one or int [N].
      boxes: [N, 4]; keypoints: [N, K, 2]; scores: [N, K].

    Raises:
      InputError: naming the first frame with a value that is not finite.
    """
    frames = np.broadcast_to(frame, len(boxes))
    for what, values in (("box", boxes), ("joints", keypoints), ("scores", scores)):
        finite = np.isfinite(values).all(axis=tuple(range(1, np.ndim(values))))
        if not finite.all():
            n = int(np.argmin(finite))
            person = int(np.sum(frames[:n] == frames[n]))
            raise InputError(
                f"video {video}: {what} of person {person} in frame {frames[n]} are not finite; the checkpoint is "
                "damaged or its training went astray, use another one"
            )


def _check(predictions: Predictions) -> None:
    number = {image["id"]: i for i, image in enumerate(predictions.images)}
    frames = np.array([number[image_id] for image_id in np.asarray(predictions.image_id).tolist()], np.int64)
    check_finite(predictions.video, frames, predictions.boxes, predictions.keypoints, predictions.scores)


def write_csv(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write one row a joint: frame (from 0), image, track, joint, x, y, score; ordered as the poses are.

    Raises:
      InputError: a number is not finite.
    """
    _check(predictions)
    number = {image["id"]: i for i, image in enumerate(predictions.images)}
    with atomic_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "image_id", "track", "joint", "x", "y", "score"])
        for n, image_id in enumerate(predictions.image_id.tolist()):
            for name, (x, y), score in zip(POSETRACK15.joints, predictions.keypoints[n], predictions.scores[n]):
                row = [f"{x:.3f}", f"{y:.3f}", f"{score:.6f}"]
                writer.writerow([number[image_id], image_id, predictions.track_id[n], name, *row])


def _numbers(values: np.ndarray) -> list[float]:
    """float32 values with the fewest digits that give them back exactly: files stay small and scores distinct."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]

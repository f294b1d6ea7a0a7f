"""`poses.json`: the form of PoseTrack18, which the official evaluator and annotation tools read."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmpose_jax.files import write_json
from jmpose_jax.inference.joint_orders import to_posetrack15
from jmpose_jax.inference.outputs.finite import check_predictions, numbers
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import POSETRACK17, POSETRACK17_TO_15

EARS = ("left_ear", "right_ear")  # slots of the form that PoseTrack annotates nobody's in


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
    estimated_frames: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The content of a PoseTrack18 result file.

    Args:
      predictions: the poses of one video, of any skeleton; see `joint_orders.to_posetrack15`.
      person_index: int [N], the annotated person whose box each pose was estimated in, where that is so; kept in the
        file as `person_index`, which `metrics.posetrack.restrict` reads.
      box_source: where the boxes came from; kept in the file as `box_source`.
      lost_frames: numbers of the frames whose pictures the damaged video does not hold; kept as `lost_frames`.
      estimated_frames: numbers of those that a network saw, kept as `estimated_frames`; None where it saw all.

    Returns:
      `images`, `annotations` with 17 slots (ears 0, 0, 0 where the model has none), `scores` and `track_id`, and
      `categories`.

    Raises:
      InputError: a number is not finite: no reader takes it, and as a score it would rank above or below all others.
    """
    check_predictions(predictions)
    keypoints, scores = _slots(predictions)
    annotations, in_image = [], {}
    for n, image_id in enumerate(predictions.image_id.tolist()):
        place = in_image.get(image_id, 0)
        in_image[image_id] = place + 1
        annotation = {
            "image_id": image_id,
            "id": image_id * 100 + place,
            "category_id": 1,
            "track_id": int(predictions.track_id[n]),
            "bbox": numbers(predictions.boxes[n]),
            "keypoints": numbers(keypoints[n].ravel()),
            "scores": numbers(scores[n]),
        }
        if predictions.box_scores is not None:
            annotation["box_score"] = numbers(predictions.box_scores[n : n + 1])[0]
        if predictions.track_score is not None:
            annotation["track_score"] = numbers(predictions.track_score[n : n + 1])[0]
        if predictions.interpolated is not None and predictions.interpolated[n]:
            annotation["interpolated"] = True
        if person_index is not None:
            annotation["person_index"] = int(person_index[n])
        annotations.append(annotation)
    source: dict[str, Any] = {} if box_source is None else {"box_source": box_source}
    if lost_frames:
        source["lost_frames"] = list(lost_frames)
    if estimated_frames is not None:
        source["estimated_frames"] = list(estimated_frames)
    return {**source, "images": list(predictions.images), "annotations": annotations, "categories": [category()]}


def _slots(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """keypoints float32 [N, 17, 3] as (x, y, 1), zeros where a slot is empty, and scores float32 [N, 17]."""
    count, skeleton = len(predictions.image_id), predictions.skeleton
    keypoints = np.zeros((count, POSETRACK17.num_joints, 3), np.float32)
    scores = np.zeros((count, POSETRACK17.num_joints), np.float32)
    points, confidences = to_posetrack15(predictions.keypoints, predictions.scores, skeleton.name)
    slots = list(POSETRACK17_TO_15)
    keypoints[:, slots, :2], keypoints[:, slots, 2], scores[:, slots] = points, 1, confidences
    for ear in EARS:
        if ear in skeleton.joints:
            slot, joint = POSETRACK17.index(ear), skeleton.index(ear)
            keypoints[:, slot, :2], keypoints[:, slot, 2] = predictions.keypoints[:, joint], 1
            scores[:, slot] = predictions.scores[:, joint]
    return keypoints, scores


def write_posetrack18(
    predictions: Predictions,
    path: str | os.PathLike,
    person_index: np.ndarray | None = None,
    box_source: str | None = None,
    lost_frames: Sequence[int] = (),
    estimated_frames: Sequence[int] | None = None,
) -> None:
    """Write `to_posetrack18` as JSON."""
    content = to_posetrack18(predictions, person_index, box_source, lost_frames, estimated_frames)
    write_json(path, content, indent=None)

"""Poses to files: PoseTrack18 result JSON and a CSV table, each written whole or not at all."""

import csv
import json
import os
from typing import Any

import numpy as np

from jmpose_jax.files import atomic_text
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
    predictions: Predictions, person_index: np.ndarray | None = None, box_source: str | None = None
) -> dict[str, Any]:
    """The content of a PoseTrack18 result file.

    Args:
      predictions: the poses of one video.
      person_index: int [N], the annotated person whose box each pose was estimated in, where that is so; kept in the
        file as `person_index`, which `metrics.posetrack.restrict` reads.
      box_source: where the boxes came from; kept in the file as `box_source`.

    Returns:
      `images`, `annotations` with 17 slots (ears 0, 0, 0), `scores` and `track_id`, and `categories`.
    """
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
    source = {} if box_source is None else {"box_source": box_source}
    return {**source, "images": list(predictions.images), "annotations": annotations, "categories": [category()]}


def write_posetrack18(
    predictions: Predictions,
    path: str | os.PathLike,
    person_index: np.ndarray | None = None,
    box_source: str | None = None,
) -> None:
    """Write `to_posetrack18` as JSON."""
    with atomic_text(path) as file:
        json.dump(to_posetrack18(predictions, person_index, box_source), file)


def write_csv(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write one row a joint: frame (from 0), image, track, joint, x, y, score; ordered as the poses are."""
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

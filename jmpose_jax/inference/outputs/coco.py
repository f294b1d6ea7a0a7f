"""`poses.coco.json`: keypoint results as COCO's evaluator reads them, a plain list of poses."""

import os
from typing import Any

import numpy as np

from jmpose_jax.files import write_json
from jmpose_jax.inference.outputs.finite import check_predictions, numbers
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import COCO17, joint_map


def to_coco(predictions: Predictions) -> list[dict[str, Any]]:
    """One entry a pose: image_id, category_id 1, keypoints (17 × x, y, score), score, bbox, track_id, track_score;
    and `interpolated`, true, where no network gave the pose.

    The joints are COCO's, by name; those that the model does not have are 0, 0, 0. The score of a pose is the mean of
    its joints', of those that the model has.

    Raises:
      InputError: a number is not finite.
    """
    check_predictions(predictions)
    places = joint_map(predictions.skeleton, COCO17)
    known = [k for k, place in enumerate(places) if place >= 0]
    stored = [places[k] for k in known]
    keypoints = np.zeros((len(predictions.image_id), COCO17.num_joints, 3), np.float32)
    keypoints[:, known, :2] = predictions.keypoints[:, stored]
    keypoints[:, known, 2] = predictions.scores[:, stored]
    sure, between = predictions.track_score, predictions.interpolated
    scores = predictions.scores.astype(np.float32).mean(axis=1)
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "keypoints": numbers(keypoints[n].ravel()),
            "score": numbers(scores[n : n + 1])[0],
            "bbox": numbers(predictions.boxes[n]),
            "track_id": int(predictions.track_id[n]),
            **({} if sure is None else {"track_score": numbers(sure[n : n + 1])[0]}),
            **({"interpolated": True} if between is not None and between[n] else {}),
        }
        for n, image_id in enumerate(predictions.image_id.tolist())
    ]


def write_coco(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write `to_coco` as JSON."""
    write_json(path, to_coco(predictions), indent=None)

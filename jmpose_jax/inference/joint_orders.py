"""From the joint order of a model to the 15 joints of PoseTrack."""

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17, POSETRACK17_TO_15, SKELETONS

# COCO annotates neither end of the head. Both lie about on the line from the middle of the shoulders through the nose,
# at these multiples of that distance (medians over 13 persons of PoseTrack18 frames).
HEAD_ON_LINE = {"head_bottom": 0.28, "head_top": 1.47}


def to_posetrack15(keypoints: np.ndarray, scores: np.ndarray, skeleton: str) -> tuple[np.ndarray, np.ndarray]:
    """Reorder the joints; those of COCO lack the ends of the head, which are put where they are on average.

    Args:
      keypoints: float [N, K, 2], order of `skeleton`.
      scores: float [N, K].
      skeleton: "posetrack15", "posetrack17" or "coco17".

    Returns:
      keypoints [N, 15, 2] and scores [N, 15], order of `skeletons.POSETRACK15`. An estimated end of the head has the
      least score of the joints that it was estimated from.

    Raises:
      InputError: unknown skeleton, or K is not its number of joints.
    """
    if skeleton not in SKELETONS:
        raise InputError(f"skeleton {skeleton!r} is not known; use one of {', '.join(SKELETONS)}")
    expected = SKELETONS[skeleton].num_joints
    if keypoints.shape[1] != expected:
        raise InputError(f"the model has {keypoints.shape[1]} joints, its skeleton {skeleton} has {expected}")
    if skeleton == POSETRACK15.name:
        return keypoints, scores
    if skeleton == POSETRACK17.name:
        return keypoints[:, list(POSETRACK17_TO_15)], scores[:, list(POSETRACK17_TO_15)]
    sources = [COCO17.index(joint) for joint in ("nose", "left_shoulder", "right_shoulder")]
    nose, left, right = (keypoints[:, k] for k in sources)
    middle, sure = (left + right) / 2, scores[:, sources].min(axis=1)
    points, confidences = [], []
    for joint in POSETRACK15.joints:
        if joint in HEAD_ON_LINE:
            points.append(middle + HEAD_ON_LINE[joint] * (nose - middle))
            confidences.append(sure)
        else:
            points.append(keypoints[:, COCO17.index(joint)])
            confidences.append(scores[:, COCO17.index(joint)])
    return np.stack(points, axis=1), np.stack(confidences, axis=1)

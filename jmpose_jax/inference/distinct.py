"""One pose a person: where the model gives a hidden person the pose of the one in front, the weaker of the two goes.

And one box: a detector by centres may see one large person as two, the head's and the feet's.
"""

import numpy as np

from jmpose_jax.inference.tracking.likeness import SURE_JOINT, box_iou
from jmpose_jax.metrics.oks_nms import oks_nms

# Object keypoint similarity. Of two children who hide each other, most pairs of boxes about one of them give poses of
# 0.8 to 1, their own poses less than 0.6.
SAME_PERSON = 0.6
# Of two found people who are one: so many sure joints are both's, all of them at one place, and they reach over so much
# of the two boxes (two heads side by side do not). Lengths are shares of the longer side of the boxes together.
SHARED_JOINTS = 4
SAME_PLACE = 0.04
SHARED_REACH = 0.25


def distinct_poses(
    boxes: np.ndarray,
    box_scores: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    sigmas: np.ndarray,
    threshold: float = SAME_PERSON,
) -> np.ndarray:
    """The poses of one frame that are each another person's, by OKS-NMS.

    The best goes first: most score of box and joints in a box that fits its pose. So the pose stays in the box of the
    person whose it is, also where the hidden person's box is the surer one.

    Args:
      boxes: float [N, 4], (x, y, width, height).
      box_scores: float [N].
      keypoints: float [N, K, 2]; scores: float [N, K].
      sigmas: float [K].
      threshold: poses more alike than this are one person's.

    Returns:
      int64 [M], places of the kept poses, ascending.
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    sure = np.asarray(scores) >= SURE_JOINT
    fit = np.array([_fit(*person) for person in zip(boxes, keypoints, sure)])
    rank = np.asarray(box_scores) * np.mean(scores, axis=1) * fit
    return oks_nms(keypoints, rank, np.prod(np.asarray(boxes)[:, 2:], axis=1), sigmas, threshold, sure)


def _fit(box: np.ndarray, keypoints: np.ndarray, sure: np.ndarray) -> float:
    """Overlap of a box and the extent of its pose's sure joints, 0..1."""
    if sure.sum() < 2:
        return 0.0
    low, high = keypoints[sure].min(0), keypoints[sure].max(0)
    return float(box_iou(box[None], np.concatenate([low, high - low])[None])[0, 0])


def joined_boxes(boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The box of a person whom a detector found in parts, each with some of the same joints: around them all.

    Args:
      boxes: float [N, 4], (x, y, width, height).
      keypoints: float [N, K, 2], of the detector; scores: float [N, K].

    Returns:
      float [N, 4]: those of one person are equal.
    """
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sure = scores >= SURE_JOINT
    person = np.arange(len(boxes))
    for i in range(len(boxes)):
        for j in range(i):
            both = sure[i] & sure[j]
            if both.sum() < SHARED_JOINTS:
                continue
            side = (np.maximum(high[i], high[j]) - np.minimum(low[i], low[j])).max()
            apart = np.linalg.norm(keypoints[i, both] - keypoints[j, both], axis=-1).max()
            if apart <= SAME_PLACE * side and np.ptp(keypoints[i, both], axis=0).max() >= SHARED_REACH * side:
                person[person == person[i]] = person[j]
    together = person[:, None] == person[None]
    low = np.where(together[..., None], low[None], np.inf).min(axis=1, initial=np.inf)
    high = np.where(together[..., None], high[None], -np.inf).max(axis=1, initial=-np.inf)
    return np.concatenate([low, high - low], axis=1)

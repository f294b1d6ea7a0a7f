"""How alike persons and tracks are: overlap of boxes, object keypoint similarity of poses."""

import numpy as np

from jmpose_jax.metrics.keypoints import oks

# A joint below this score is nowhere in particular: MoveNet gives joints that are out of sight 0.05 to 0.2.
SURE_JOINT = 0.2
FEWEST_JOINTS = 4  # that both poses must have for their likeness to count in full


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (x, y, width, height) [N, 4] and [M, 4]: float64 [N, M]."""
    a, b = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=-1)
    union = a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def enlarged(boxes: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Boxes (x, y, width, height) [N, 4] with `share` (one, or [N]) of their sides added at each edge."""
    margin = np.asarray(share, np.float64).reshape(-1, 1) * boxes[:, 2:]
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + 2 * margin], axis=1)


def pose_likeness(
    keypoints: np.ndarray,
    scores: np.ndarray,
    others: np.ndarray,
    other_scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Object keypoint similarity over the joints that are sure in both poses, and how many tell it.

    Args:
      keypoints, scores: float [N, K, 2] and [N, K], of persons.
      others, other_scores: float [M, K, 2] and [M, K], of tracks.
      areas: float [M], square pixels.
      sigmas: float [K].

    Returns:
      float64 [N, M] in 0..1, and its weight float64 [N, M] in 0..1: 1 from `FEWEST_JOINTS` common joints on.
    """
    common = (np.asarray(scores) >= SURE_JOINT)[:, None] & (np.asarray(other_scores) >= SURE_JOINT)[None]
    alike = oks(np.asarray(keypoints)[:, None], np.asarray(others)[None], np.asarray(areas)[None], sigmas, common)
    return alike, np.minimum(common.sum(-1) / FEWEST_JOINTS, 1.0)

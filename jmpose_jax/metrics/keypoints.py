"""Accuracy of 2-D keypoints: PCK under several normalisations, and object keypoint similarity."""

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.reading import HEAD_SIZE_FACTOR
from jmpose_jax.skeletons import COCO17, Skeleton

# σ of the COCO keypoints in the order of `skeletons.COCO17`, and of the PoseTrack joints in that of POSETRACK15, which
# take those of the COCO joints at the same place, and the nose's for the head.
COCO17_SIGMAS = np.array(
    [
        0.026,
        0.025,
        0.025,
        0.035,
        0.035,
        0.079,
        0.079,
        0.072,
        0.072,
        0.062,
        0.062,
        0.107,
        0.107,
        0.087,
        0.087,
        0.089,
        0.089,
    ]
)
POSETRACK15_SIGMAS = np.array(
    [0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.062, 0.072, 0.079, 0.079, 0.072, 0.062, 0.026, 0.026, 0.026]
)


def joint_sigmas(skeleton: Skeleton) -> np.ndarray:
    """σ of a skeleton's joints by their names, float64 [K]; the ends of the head take the nose's.

    Raises:
      InputError: a joint that neither COCO nor PoseTrack has.
    """
    of_joint = dict(zip(COCO17.joints, COCO17_SIGMAS.tolist()))
    of_joint |= {"head_bottom": of_joint["nose"], "head_top": of_joint["nose"]}
    unknown = [joint for joint in skeleton.joints if joint not in of_joint]
    if unknown:
        raise InputError(f"skeleton {skeleton.name!r}: no sigma is known of {unknown[0]!r}; name joints as COCO does")
    return np.array([of_joint[joint] for joint in skeleton.joints])


def head_size(head_boxes: np.ndarray) -> np.ndarray:
    """0.6 × diagonal of head boxes (x, y, width, height) [..., 4]: the unit of PCKh."""
    return HEAD_SIZE_FACTOR * np.hypot(head_boxes[..., 2], head_boxes[..., 3])


def box_size(boxes: np.ndarray) -> np.ndarray:
    """The longer side of boxes (x, y, width, height) [..., 4]: the unit of PCK on sub-JHMDB."""
    return np.maximum(boxes[..., 2], boxes[..., 3])


def torso_size(keypoints: np.ndarray, shoulder: int, opposite_hip: int) -> np.ndarray:
    """Distance of a shoulder from the opposite hip, of annotated joints [..., K, 2]."""
    return np.linalg.norm(keypoints[..., shoulder, :] - keypoints[..., opposite_hip, :], axis=-1)


def pck(
    predicted: np.ndarray,
    target: np.ndarray,
    size: np.ndarray,
    threshold: float = 0.5,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Share of keypoints within `threshold` × `size` of their target, inclusive, per joint.

    Args:
      predicted, target: float [N, K, 2], pixels.
      size: float [N], the unit: `head_size`, `box_size` or `torso_size`.
      threshold: 0.5 for PCKh, 0.2, 0.1 or 0.05 for PCK of the box.
      valid: bool [N, K]; None counts all.

    Returns:
      float64 [K] in 0..1, NaN for a joint that is never valid.

    Raises:
      InputError: for shapes that do not fit.
    """
    if predicted.shape != target.shape or predicted.ndim != 3 or np.shape(size) != predicted.shape[:1]:
        raise InputError(
            f"pck takes predicted and target [N, K, 2] and size [N], not {list(predicted.shape)}, "
            f"{list(target.shape)}, {list(np.shape(size))}"
        )
    valid = np.ones(target.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    hit = np.linalg.norm(predicted - target, axis=-1) <= threshold * np.asarray(size)[:, None]
    count = valid.sum(axis=0)
    return np.divide((hit & valid).sum(axis=0), count, out=np.full(target.shape[1], np.nan), where=count > 0)


def oks(
    predicted: np.ndarray, target: np.ndarray, area: np.ndarray, sigmas: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
    """Object keypoint similarity as COCO defines it: mean over valid joints of exp(-d² / (2 (2σ)² area)).

    Args:
      predicted, target: float [..., K, 2], pixels; they broadcast.
      area: float [...], the object's area in square pixels.
      sigmas: float [K], `COCO17_SIGMAS` or `POSETRACK15_SIGMAS`.
      valid: bool [..., K]; None counts all.

    Returns:
      float64 [...] in 0..1, 0 where no joint is valid.
    """
    squared = np.sum((np.asarray(predicted, np.float64) - target) ** 2, axis=-1)
    variance = (2 * np.asarray(sigmas)) ** 2
    exponent = squared / (2 * variance * (np.asarray(area, np.float64)[..., None] + np.spacing(1)))
    valid = np.ones(squared.shape, bool) if valid is None else np.broadcast_to(valid, squared.shape)
    return np.sum(np.exp(-exponent) * valid, axis=-1) / np.maximum(valid.sum(axis=-1), 1)

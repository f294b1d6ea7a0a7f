"""Non-maximum suppression of poses by their object keypoint similarity. Off by default, as in the PoseTrack lineage."""

import numpy as np

from jmpose_jax.metrics.keypoints import oks


def oks_nms(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    threshold: float = 0.9,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """The poses of one image that are kept: best score first, each suppressing those too similar to it.

    Args:
      keypoints: float [N, K, 2], pixels.
      scores: float [N], of the poses; of equal ones the earlier goes first.
      areas: float [N], square pixels, of the poses' boxes; a pair is compared at the mean of its areas.
      sigmas: float [K].
      threshold: poses with a similarity above it are the same person.
      valid: bool [N, K], joints that count; a pair is compared by those of both. None counts all.

    Returns:
      int64 [M], places of the kept poses, ascending.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        area = (np.asarray(areas, float)[best] + np.asarray(areas, float)[order]) / 2
        both = None if valid is None else valid[best][None] & valid[order]
        order = order[oks(keypoints[best][None], keypoints[order], area, sigmas, both) <= threshold]
    return np.sort(np.asarray(kept, np.int64))


def oks_nms_by_image(
    image_id: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    threshold: float = 0.9,
) -> np.ndarray:
    """`oks_nms` within each image.

    Args:
      image_id: int [N].
      keypoints, scores, areas, sigmas, threshold: as for `oks_nms`.

    Returns:
      int64 [M], places of the kept poses, ascending.
    """
    kept = [np.zeros(0, np.int64)]
    for identity in np.unique(image_id):
        rows = np.flatnonzero(image_id == identity)
        kept.append(rows[oks_nms(keypoints[rows], scores[rows], areas[rows], sigmas, threshold)])
    return np.sort(np.concatenate(kept))

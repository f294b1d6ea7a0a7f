"""Identities for boxes and poses from frame to frame: greedy assignment by overlap, with a short memory."""

import dataclasses

import numpy as np

from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS, oks


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The identities alive: M of them, the content of a tracker between two frames.

    Attributes:
      ids: int64 [M].
      boxes: float64 [M, 4], where each was last seen, (x, y, width, height).
      keypoints: float64 [M, K, 2], its last pose, or None where poses are not used.
      age: int64 [M], frames since it was last seen.
      next_id: the identity that the next newcomer gets.
    """

    ids: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray | None
    age: np.ndarray
    next_id: int

    @classmethod
    def empty(cls) -> "Tracks":
        return cls(np.zeros(0, np.int64), np.zeros((0, 4)), None, np.zeros(0, np.int64), 0)


def greedy_assignment(similarity: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Pairs (row, column) by descending similarity [N, M], each row and column once, none below the threshold."""
    pairs, rows, columns = [], set(), set()
    for flat in np.argsort(-similarity, axis=None, kind="stable"):
        i, j = (int(v) for v in np.unravel_index(flat, similarity.shape))
        if similarity[i, j] < threshold:
            break
        if i not in rows and j not in columns:
            pairs.append((i, j))
            rows.add(i)
            columns.add(j)
    return pairs


def update_tracks(
    tracks: Tracks,
    boxes: np.ndarray,
    keypoints: np.ndarray | None = None,
    threshold: float = 0.25,
    memory: int = 12,
) -> tuple[Tracks, np.ndarray]:
    """Give the persons of the next frame their identities.

    The similarity of a person and a track is the overlap of their boxes or, where poses are given, the mean of that and
    of the object keypoint similarity of their poses.

    Args:
      tracks: what the last frame left.
      boxes: float [N, 4], (x, y, width, height).
      keypoints: float [N, 15, 2] or None.
      threshold: least similarity.
      memory: frames that a track outlives unseen.

    Returns:
      The tracks after this frame and the identities int64 [N] of its persons.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    similarity = box_iou(boxes, tracks.boxes)
    if keypoints is not None and tracks.keypoints is not None and len(boxes) and len(tracks.ids):
        area = tracks.boxes[:, 2:].prod(axis=-1)[None]
        similarity = (similarity + oks(keypoints[:, None], tracks.keypoints[None], area, POSETRACK15_SIGMAS)) / 2

    ids = np.full(len(boxes), -1, np.int64)
    seen = np.zeros(len(tracks.ids), bool)
    for person, track in greedy_assignment(similarity, threshold):
        ids[person] = tracks.ids[track]
        seen[track] = True
    new = ids < 0
    ids[new] = tracks.next_id + np.arange(new.sum())

    waiting = ~seen & (tracks.age < memory)
    poses = None
    if keypoints is not None:
        kept = tracks.keypoints[waiting] if tracks.keypoints is not None else np.zeros((0, *keypoints.shape[1:]))
        poses = np.concatenate([keypoints, kept])
    after = Tracks(
        ids=np.concatenate([ids, tracks.ids[waiting]]),
        boxes=np.concatenate([boxes, tracks.boxes[waiting]]),
        keypoints=poses,
        age=np.concatenate([np.zeros(len(ids), np.int64), tracks.age[waiting] + 1]),
        next_id=tracks.next_id + int(new.sum()),
    )
    return after, ids

"""What is drawn on the frames of a video: poses, and by choice boxes, identities and where people came from."""

import collections
from collections.abc import Iterable

import cv2
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.drawing import draw_people, track_color
from jmpose_jax.skeletons import Skeleton

PARTS = ("boxes", "ids", "trails")
DEFAULT_PARTS = ("boxes", "ids")
DRAW_THRESHOLD = 0.3  # least score of a joint that is drawn
TRAIL_FRAMES = 30


def check_parts(parts: Iterable[str], flag: str = "--draw") -> tuple[str, ...]:
    """The parts, each once; "none" alone, or nothing, leaves the poses.

    Raises:
      InputError: one is not known.
    """
    parts = tuple(dict.fromkeys(parts))
    if parts == ("none",):
        return ()
    for part in parts:
        if part not in PARTS:
            raise InputError(f"{flag}={part} is not known; use some of {', '.join(PARTS)}, or none")
    return parts


class Overlay:
    """Draws the people of one video, frame after frame."""

    def __init__(self, skeleton: Skeleton, parts: Iterable[str] = DEFAULT_PARTS, threshold: float = DRAW_THRESHOLD):
        """Choose what is drawn.

        Args:
          skeleton: of the poses.
          parts: of `PARTS`, beside the poses.
          threshold: least score of a joint that is drawn.

        Raises:
          InputError: a part is not known.
        """
        self._skeleton, self._threshold = skeleton, threshold
        self._parts = check_parts(parts)
        # By identity, the last frames' middles of boxes: (frame, x, y).
        self._trails: dict[int, collections.deque[tuple[int, float, float]]] = {}
        self._frame = 0

    def draw(
        self, image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray, track_ids: np.ndarray
    ) -> np.ndarray:
        """The next frame with its N people on it.

        Args:
          image: uint8 RGB [H, W, 3].
          keypoints: float [N, K, 2], pixels; scores: float [N, K].
          boxes: float [N, 4]; track_ids: int [N].

        Returns:
          uint8 RGB [H, W, 3], an image of its own.
        """
        self._frame += 1
        if "trails" in self._parts:
            image = image.copy()
            self._draw_trails(image, boxes, track_ids)
        return draw_people(
            image,
            keypoints,
            scores,
            boxes,
            track_ids,
            skeleton=self._skeleton,
            threshold=self._threshold,
            parts=self._parts,
        )

    def _draw_trails(self, image: np.ndarray, boxes: np.ndarray, track_ids: np.ndarray) -> None:
        for box, track_id in zip(boxes.tolist(), track_ids.tolist()):
            if track_id >= 0:
                trail = self._trails.setdefault(track_id, collections.deque(maxlen=TRAIL_FRAMES))
                trail.append((self._frame, box[0] + box[2] / 2, box[1] + box[3] / 2))
        for track_id, trail in list(self._trails.items()):
            while trail and trail[0][0] <= self._frame - TRAIL_FRAMES:
                trail.popleft()
            if not trail:
                del self._trails[track_id]
                continue
            points = np.round(np.clip([(x, y) for _, x, y in trail], -20_000, 20_000) * 16).astype(np.int32)
            width = 3 if max(image.shape[:2]) > 900 else 2
            cv2.polylines(image, [points], False, track_color(track_id), width, cv2.LINE_AA, 4)

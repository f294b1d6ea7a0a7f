"""From the poses of frame after frame to the record that result files are written from."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import Skeleton

COLUMNS = ("boxes", "keypoints", "scores", "track_ids", "box_scores", "track_scores")


class Collector:
    """Holds the poses of one video, and nothing of its pictures."""

    def __init__(self, skeleton: Skeleton):
        """Begin with no frame.

        Args:
          skeleton: of the poses.
        """
        self._skeleton = skeleton
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._counts: list[int] = []
        self._times: list[float] = []

    @property
    def frames(self) -> int:
        """How many frames were added."""
        return len(self._times)

    def add(self, poses: Any, time: float | Fraction) -> None:
        """Append the next frame.

        Args:
          poses: its N people: `boxes` [N, 4], `keypoints` [N, K, 2], `scores` [N, K], `track_ids` [N], `box_scores`
            [N] and `track_scores` [N], as `FramePoses` has them.
          time: seconds since the first frame.
        """
        for name in COLUMNS:
            self._columns[name].append(np.asarray(getattr(poses, name)))
        self._counts.append(len(poses.boxes))
        self._times.append(float(time))

    def predictions(
        self, video: str, images: Sequence[dict[str, Any]], numbers: Sequence[int] | None = None, timed: bool = True
    ) -> Predictions:
        """The record of all frames, at least one.

        Args:
          video: its name.
          images: one mapping a frame with `id` and `file_name`.
          numbers: of the frames, as their source counts them; by default from 0.
          timed: whether the times mean anything.
        """
        joined = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        frame = np.repeat(np.arange(self.frames), self._counts)
        return Predictions(
            video=video,
            images=tuple(images),
            image_id=np.array([image["id"] for image in images], np.int64)[frame],
            keypoints=joined["keypoints"],
            scores=joined["scores"],
            boxes=joined["boxes"],
            track_id=joined["track_ids"],
            skeleton=self._skeleton,
            box_scores=joined["box_scores"],
            times=np.array(self._times) if timed else None,
            numbers=None if numbers is None else np.array(numbers, np.int64),
            track_score=joined["track_scores"].astype(np.float32),
        )

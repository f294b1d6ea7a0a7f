"""The people of one frame with their poses, as prediction hands them on."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class FramePoses:
    """The N persons of one frame, with the K joints of the predictor's skeleton.

    Attributes:
      index: number of the frame, from 0.
      image: uint8 RGB [H, W, 3].
      boxes: float32 [N, 4]; box_scores: float32 [N].
      keypoints: float32 [N, K, 2], image pixels; scores: float32 [N, K].
      track_ids: int64 [N]; track_scores: float [N] in 0..1, how sure it is that the person is the track's.
    """

    index: int
    image: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    track_ids: np.ndarray
    box_scores: np.ndarray
    track_scores: np.ndarray

    def select(self, rows: np.ndarray, track_ids: np.ndarray) -> "FramePoses":
        """The persons of bool or int `rows`, with the identities int64 [M]."""
        names = ("boxes", "keypoints", "scores", "box_scores", "track_scores")
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in names}, track_ids=track_ids)

    def nobody(self) -> "FramePoses":
        """The frame without its persons."""
        return self.select(np.zeros(len(self.boxes), bool), np.zeros(0, np.int64))

"""Which weak boxes are worth a pose: those where somebody was found a moment ago."""

import numpy as np

from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.inference.tracking.tracker import TrackingOptions

OVERLAP = 0.3  # intersection over union with a box of the last frames
NOBODY = np.zeros((0, 4))


class WeakBoxes:
    """Tells, frame by frame, boxes that can be of a track from those that cannot: most weak ones are of no person."""

    def __init__(self, options: TrackingOptions):
        self._options = options
        self._recent: list[np.ndarray] = []

    def worthy(self, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Bool [N] for boxes float [N, 4] (x, y, width, height) with scores float [N] of the next frame."""
        options = self._options
        strong = scores >= options.min_box_score
        weak = ~strong & (scores >= options.weakest)
        before = np.concatenate([NOBODY, *self._recent])
        near = box_iou(boxes, before).max(axis=1, initial=0.0) >= OVERLAP
        worthy = strong | (weak & near)
        self._recent = [*self._recent, boxes[worthy]][-options.patience :]
        return worthy

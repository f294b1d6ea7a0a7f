"""People found on every n-th frame, and their boxes between those frames on straight lines."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from jmpose_jax.inference.detectors import Detections, Detector
from jmpose_jax.inference.tracking.likeness import box_iou, enlarged
from jmpose_jax.inference.tracking.tracker import best_pairs
from jmpose_jax.inference.windows import Window

MARGIN = 0.3  # of boxes when they are compared: a person has moved for n frames
LEAST = 0.1  # intersection over union of two boxes of one person


def detected(
    windows: Iterable[Window], detector: Detector, every: int = 1, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Window, Detections]]:
    """Each window with the people of its key frame.

    The first and the last frame are always looked at. A window waits for the next frame that is.

    Args:
      windows: in the order of time.
      detector: gives no identities where `every` is above 1.
      every: n.
      stop: asked before each frame; where it says so, nothing more comes.
    """
    waiting: list[Window] = []
    before: tuple[int, Detections] | None = None

    def between(now: int, found: Detections) -> Iterator[tuple[Window, Detections]]:
        for window in waiting:
            since, earlier = before
            yield window, interpolated(earlier, found, (window.index - since) / (now - since))
        waiting.clear()

    for window in windows:
        if stop():
            return
        if before is not None and window.index - before[0] < every:
            waiting.append(window)
            continue
        found = detector(window.index, window.key_frame)
        yield from between(window.index, found)
        yield window, found
        before = window.index, found
    if waiting and not stop():
        last = waiting.pop()
        found = detector(last.index, last.key_frame)
        yield from between(last.index, found)
        yield last, found


def interpolated(first: Detections, second: Detections, share: float) -> Detections:
    """The people between two frames.

    Whoever is in both moves on a straight line. Who is in one alone is there for the half of the time that is nearer to
    that one, where it was.

    Args:
      first, second: of the two frames.
      share: of the time between them that has gone by, 0..1.
    """
    alike = box_iou(enlarged(first.boxes, MARGIN), enlarged(second.boxes, MARGIN))
    rows, columns = np.array(best_pairs(alike, LEAST), np.int64).reshape(-1, 2).T
    moved = (1 - share) * first.boxes[rows] + share * second.boxes[columns]
    sure = (1 - share) * first.scores[rows] + share * second.scores[columns]
    near, met = (first, rows) if share < 0.5 else (second, columns)
    alone = np.setdiff1d(np.arange(len(near)), met)
    boxes, scores = np.concatenate([moved, near.boxes[alone]]), np.concatenate([sure, near.scores[alone]])
    return Detections(boxes.astype(np.float32), scores.astype(np.float32))

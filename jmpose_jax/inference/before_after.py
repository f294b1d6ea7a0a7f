"""A video with two versions of its poses on it: those that came in in grey, the refined ones in colours above them."""

import pathlib
from collections.abc import Callable

import cv2
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.drawing import draw_label, draw_people
from jmpose_jax.inference.sources.source import Source
from jmpose_jax.inference.video.reader import VideoWriter
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import Skeleton

GREY, DARK = (205, 205, 205), (40, 40, 40)
WIDTHS = ((3, DARK), (1, GREY))  # of lines, from below: the dark edge is seen on pale walls
SHIFT = 4  # fractional bits of OpenCV's coordinates


def draw_before(image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton) -> None:
    """Draw one person's pose in thin grey lines and rings with dark edges, in place.

    Args:
      image: uint8 RGB [H, W, 3].
      keypoints: float [K, 2], pixels; scores: float [K], 0 where there is no joint.
      skeleton: of the K joints.
    """
    seen = scores > 0
    points = np.round(np.clip(keypoints, -20_000, 20_000) * (1 << SHIFT)).astype(int).tolist()
    for width, colour in WIDTHS:
        for a, b in skeleton.limbs:
            if seen[a] and seen[b]:
                cv2.line(image, points[a], points[b], colour, width, cv2.LINE_AA, SHIFT)
        for k in np.flatnonzero(seen).tolist():
            cv2.circle(image, points[k], 3 << SHIFT, colour, width, cv2.LINE_AA, SHIFT)


def write_comparison(
    source: Source,
    before: Predictions,
    after: Predictions,
    path: str | pathlib.Path,
    *,
    threshold: float = 0.0,
    shown: pathlib.Path | None = None,
    report: Callable[[], None] = lambda: None,
) -> int:
    """Write the video of both.

    Args:
      source: the frames that the poses are of.
      before, after: the poses of its frames, by the numbers of the frames.
      path: of the .mp4.
      threshold: least score of a refined joint that is drawn.
      shown: the path that messages name.
      report: called after each frame.

    Returns:
      How many frames of the poses the source has.

    Raises:
      InputError: the source cannot be read, or none of its frames is one of the poses'.
    """
    rows = [_rows(predictions) for predictions in (before, after)]
    listed = set(after.numbers.tolist() if after.numbers is not None else range(len(after.images)))
    met, first = 0, None
    with VideoWriter(path, source.rate, source.size, source.time_base, shown=shown) as writer:
        for index, frame in enumerate(source.frames()):
            first = frame.time if first is None else first
            number = index if frame.number is None else frame.number
            met += number in listed
            drawn = frame.image.copy()
            for n in rows[0].get(number, ()):
                draw_before(drawn, before.keypoints[n], before.scores[n], before.skeleton)
            now = rows[1].get(number, [])
            sure = np.where(after.scores[now] > 0, np.maximum(after.scores[now], 1e-6), -1)
            drawn = draw_people(
                drawn,
                after.keypoints[now],
                sure,
                after.boxes[now],
                after.track_id[now],
                skeleton=after.skeleton,
                threshold=max(threshold, 0.0),
                parts=("ids",),
            )
            draw_label(drawn, "grey: before", (0, 0), GREY)
            writer.write(drawn, frame.time - first)
            report()
        if not met:
            raise InputError(f"{source.name}: has none of the frames of the poses; give the video that they are of")
    return met


def _rows(predictions: Predictions) -> dict[int, list[int]]:
    """By the number of a frame, the rows of its people."""
    found: dict[int, list[int]] = {}
    for n, number in enumerate(predictions.number.tolist()):
        found.setdefault(number, []).append(n)
    return found

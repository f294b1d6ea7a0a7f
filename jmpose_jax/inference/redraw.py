"""The overlay of poses that are known for the whole video: its frames are read once more."""

import itertools
from typing import Any

import numpy as np

from jmpose_jax.inference.drawing import draw_label, track_color
from jmpose_jax.inference.overlay import Overlay
from jmpose_jax.inference.sources.source import Source
from jmpose_jax.records import Predictions


def label_lost(image: np.ndarray, number: int) -> None:
    """Say on a frame, in place, that the damaged file holds no picture of it."""
    draw_label(image, f"frame {number}: no picture in the file", (0, 0), track_color(None))


def draw_again(source: Source, predictions: Predictions, drawing: Overlay, writer: Any) -> None:
    """Draw poses on the frames that they are of, and write these.

    Args:
      source: gives the frames again from the first; those behind the record's are left out.
      predictions: of its frames.
      drawing: of the overlay, fresh.
      writer: takes a picture and its time in seconds since the first frame, or of pictures its name.
    """
    rows: dict[int, list[int]] = {}
    for n, place in enumerate(predictions.frame.tolist()):
        rows.setdefault(place, []).append(n)
    first = None
    for place, frame in enumerate(itertools.islice(source.frames(), len(predictions.images))):
        first = frame.time if first is None else first
        if frame.lost and source.pictures:
            continue
        n = np.array(rows.get(place, []), np.int64)
        drawn = drawing.draw(
            frame.image, predictions.keypoints[n], predictions.scores[n], predictions.boxes[n], predictions.track_id[n]
        )
        if frame.lost:
            label_lost(drawn, place if frame.number is None else frame.number)
        writer.write(drawn, frame.name if source.pictures else frame.time - first)

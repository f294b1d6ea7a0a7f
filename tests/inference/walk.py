"""A small video with a model that can be checked: a bright square is the person."""

import numpy as np

from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.estimate import to_image

SIZE = (160, 120)


def place(i):
    """Left upper corner of the first person in frame i; the second one walks the other way."""
    return 10 + 2 * i, 40


def frames(count):
    for i in range(count):
        frame = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
        x, y = place(i)
        frame[y : y + 40, x : x + 20] = (220, 200, 180)
        yield frame


def detect(index, image):
    x, y = place(index)
    boxes = np.array([[100 - index, 60, 20, 40], [x, y, 20, 40]], np.float32)
    keep = slice(0, 2) if index % 4 else slice(1, 2)  # the second person is seen in three frames of four
    return Detections(boxes[keep], np.array([0.5, 0.9], np.float32)[keep])


def middle(variables, batch):
    """All joints in the middle of the crop; the score is that of the box."""
    centre = np.array([batch.frames.shape[3] / 2, batch.frames.shape[2] / 2], np.float32)
    points = np.broadcast_to(centre, (batch.frames.shape[0], 15, 2))
    return to_image(points, batch.transform), batch.box_score[:, None] + np.zeros((1, 15), np.float32)

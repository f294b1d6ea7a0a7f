"""Weak boxes are worth a pose where somebody was found a moment ago."""

import numpy as np

from jmpose_jax.inference.tracking.tracker import TrackingOptions
from jmpose_jax.inference.tracking.weak_boxes import WeakBoxes

HERE, THERE = [0, 0, 40, 80], [200, 0, 40, 80]


def worthy(weak_boxes, *rows):
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return weak_boxes.worthy(boxes, np.array([score for _, score in rows], np.float32)).tolist()


def test_weak_boxes():
    weak_boxes = WeakBoxes(TrackingOptions(min_box_score=0.3, patience=2))
    assert worthy(weak_boxes, (HERE, 0.2), (THERE, 0.2)) == [False, False]
    assert worthy(weak_boxes, (HERE, 0.9)) == [True]
    assert worthy(weak_boxes, (HERE, 0.2), (THERE, 0.2)) == [True, False]
    assert worthy(weak_boxes, (HERE, 0.05)) == [False]  # below a third
    assert worthy(weak_boxes, (HERE, 0.2)) == [True]
    assert worthy(weak_boxes) == [] == worthy(weak_boxes)
    assert worthy(weak_boxes, (HERE, 0.2)) == [False]  # too long ago


def test_without_a_least_score_every_box_is_worth_it():
    assert worthy(WeakBoxes(TrackingOptions()), (HERE, -1.0), (THERE, 0.0)) == [True, True]

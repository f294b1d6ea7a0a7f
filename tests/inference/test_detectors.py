"""Detectors: suppression of duplicates, whole frame, faults, and people in a real video."""

import itertools

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import (
    BoxTable,
    Detections,
    HogDetector,
    make_detector,
    non_maximum_suppression,
)
from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.inference.video.reader import VideoReader


def test_suppression():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [3, 3, 2, 2], [50, 0, 10, 10]], float)
    keep = non_maximum_suppression(boxes, np.array([0.5, 0.9, 0.8, 0.1]), 0.5)
    np.testing.assert_array_equal(keep, [1, 3])  # the duplicate and the box inside another one go
    assert len(non_maximum_suppression(np.zeros((0, 4)), np.zeros(0), 0.5)) == 0


def test_whole_frame():
    found = make_detector("whole")(0, np.zeros((48, 64, 3), np.uint8))
    np.testing.assert_array_equal(found.boxes, [[0, 0, 64, 48]])
    with pytest.raises(InputError, match="detector=yolo .*movenet, hog, whole"):
        make_detector("yolo")


def test_hog_finds_nobody_on_an_empty_wall():
    assert len(make_detector("hog")(0, np.full((120, 160, 3), 128, np.uint8))) == 0
    assert len(make_detector("hog")(0, np.full((30, 20, 3), 128, np.uint8))) == 0


def test_hog_on_pedestrians(shared):
    frame = next(itertools.islice(VideoReader(shared / "data/videos/vtest.avi"), 0, 1))
    found = HogDetector()(0, frame)
    people = np.array([[248, 220, 32, 92], [502, 155, 28, 76], [645, 240, 34, 82]], float)  # read off the frame
    assert (box_iou(people, found.boxes).max(axis=1) > 0.5).all()
    assert len(found) <= 6
    assert ((found.scores > 0.5) & (found.scores <= 1)).all()


def test_box_outside_the_image_is_a_fault():
    inside = Detections(np.array([[-5, 4, 20, 20]], np.float32), np.ones(1, np.float32))
    outside = Detections(np.array([[70, 4, 20, 20]], np.float32), np.ones(1, np.float32))
    table = BoxTable({0: inside, 3: outside}, "boxes.json")
    image = np.zeros((48, 64, 3), np.uint8)
    assert len(table(0, image)) == 1 and len(table(1, image)) == 0
    with pytest.raises(InputError, match=r"boxes.json: box \[70.0, 4.0, 20.0, 20.0\] of frame 3 lies outside"):
        table(3, image)


def test_a_box_inside_another_stays_where_the_union_counts():
    boxes = np.array([[0, 0, 100, 200], [40, 80, 30, 60], [5, 0, 100, 200]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert non_maximum_suppression(boxes, scores, 0.7).tolist() == [0]
    assert non_maximum_suppression(boxes, scores, 0.7, of_union=True).tolist() == [0, 1]

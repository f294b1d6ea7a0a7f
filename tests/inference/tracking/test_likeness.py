"""Overlap of boxes, and poses compared by the joints that both are sure of."""

import numpy as np

from jmpose_jax.inference.tracking.likeness import box_iou, enlarged, pose_likeness
from jmpose_jax.metrics.keypoints import COCO17_SIGMAS


def test_iou():
    a = np.array([[0, 0, 10, 10], [20, 20, 5, 5]])
    b = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(a, b), [[1, 1 / 3, 0], [0, 0, 0]])
    assert box_iou(a, np.zeros((0, 4))).shape == (2, 0)


def test_enlarged():
    boxes = np.array([[10.0, 20, 30, 40], [0, 0, 10, 10]])
    np.testing.assert_allclose(enlarged(boxes, 0.1), [[7, 16, 36, 48], [-1, -1, 12, 12]])
    np.testing.assert_allclose(enlarged(boxes, np.array([0, 0.5])), [[10, 20, 30, 40], [-5, -5, 20, 20]])


def test_joints_out_of_sight_do_not_tell():
    pose = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    scores = np.full((1, 17), 0.9)
    moved, unsure = pose.copy(), scores.copy()
    moved[0, :10] += 500
    areas = np.array([1e4])
    alike, weight = pose_likeness(pose, scores, moved, scores, areas, COCO17_SIGMAS)
    np.testing.assert_allclose((alike, weight), ([[7 / 17]], [[1]]))
    unsure[0, :10] = 0.05
    alike, weight = pose_likeness(pose, scores, moved, unsure, areas, COCO17_SIGMAS)
    np.testing.assert_allclose((alike, weight), ([[1]], [[1]]))
    unsure[0, :15] = 0.05
    assert pose_likeness(pose, scores, moved, unsure, areas, COCO17_SIGMAS)[1].item() == 0.5
    unsure[:] = 0.05
    alike, weight = pose_likeness(pose, scores, moved, unsure, areas, COCO17_SIGMAS)
    assert alike.item() == weight.item() == 0

"""A hidden person who got the pose of the one in front is dropped, whichever box is surer."""

import numpy as np
import pytest

from jmpose_jax.inference.distinct import distinct_poses, joined_boxes
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS

BODY = np.random.default_rng(0).uniform(0, 1, (15, 2)) * [100, 200]
FRONT, HIDDEN = [0, 0, 100, 200], [-60, 60, 110, 120]


def kept(boxes, box_scores, poses, scores):
    return distinct_poses(np.array(boxes, float), np.array(box_scores), poses, scores, POSETRACK15_SIGMAS).tolist()


@pytest.mark.parametrize("box_scores", [[0.5, 0.9], [0.9, 0.5], [0.7, 0.7]])
def test_the_pose_stays_with_whom_it_fits(box_scores):
    poses, scores = np.stack([BODY + 2, BODY]), np.full((2, 15), 0.8)
    assert kept([HIDDEN, FRONT], box_scores, poses, scores) == [1]
    assert kept([FRONT, HIDDEN], box_scores, poses, scores) == [0]


def test_of_like_boxes_the_surer_one_stays():
    poses = np.stack([BODY, BODY + 2])
    assert kept([FRONT, FRONT], [0.5, 0.9], poses, np.full((2, 15), 0.8)) == [1]
    assert kept([FRONT, FRONT], [0.5, 0.5], poses, np.array([[0.8] * 15, [0.4] * 15])) == [0]


def test_people_close_together_stay():
    poses, scores = np.stack([BODY, BODY + [60, 0]]), np.full((2, 15), 0.8)
    assert kept([FRONT, [60, 0, 100, 200]], [0.9, 0.9], poses, scores) == [0, 1]


def test_joints_out_of_sight_do_not_tell():
    poses, scores = np.stack([BODY, BODY]), np.full((2, 15), 0.8)
    poses[1, :8] += 300
    scores[1, :8] = 0.05
    assert kept([FRONT, HIDDEN], [0.9, 0.9], poses, scores) == [0]
    scores[1] = 0.05  # of this one nothing is known: it is nobody's double
    assert kept([FRONT, HIDDEN], [0.9, 0.9], poses, scores) == [0, 1]


def test_nobody_and_one():
    assert kept(np.zeros((0, 4)), [], np.zeros((0, 15, 2)), np.zeros((0, 15))) == []
    assert kept([FRONT], [0.9], BODY[None], np.zeros((1, 15))) == [0]


def test_a_person_found_in_parts_has_one_box_and_two_people_keep_theirs():
    rng = np.random.default_rng(0)
    whole = rng.uniform((100, 100), (200, 500), (17, 2))
    boxes = np.array([[100, 100, 100, 300], [100, 220, 100, 280], [150, 100, 100, 400]], float)
    keypoints = np.stack([whole, whole + rng.uniform(-5, 5, whole.shape), whole + (60, 0)])
    scores = np.full((3, 17), 0.8)
    scores[0, 13:] = scores[1, :5] = 0.0  # the one has no feet, the other no head
    joined = joined_boxes(boxes, keypoints, scores)
    np.testing.assert_allclose(joined[:2], [[100, 100, 100, 400]] * 2)
    np.testing.assert_allclose(joined[2], boxes[2])
    apart = keypoints.copy()
    apart[1, 8] += 60  # one joint that both are sure of lies elsewhere
    np.testing.assert_allclose(joined_boxes(boxes, apart, scores), boxes)
    heads = keypoints.copy()
    heads[:2] = 100 + heads[:2] / 20  # cheek to cheek: all that they share lies in one place
    np.testing.assert_allclose(joined_boxes(boxes, heads, scores), boxes)
    scores[1, 5:10] = 0.0  # too few joints are both's
    np.testing.assert_allclose(joined_boxes(boxes, keypoints, scores), boxes)
    assert joined_boxes(boxes[:0], keypoints[:0], scores[:0]).shape == (0, 4)


def test_parts_of_parts_are_one_person():
    rng = np.random.default_rng(1)
    whole = rng.uniform((100, 100), (200, 500), (17, 2))
    boxes = np.array([[100, 100, 90, 200], [110, 300, 90, 200], [100, 200, 90, 200]], float)
    scores = np.zeros((3, 17))
    scores[0, :10] = scores[1, 8:] = scores[2, 3:14] = 0.9  # the first and the second share too little
    joined = joined_boxes(boxes, np.stack([whole] * 3), scores)
    np.testing.assert_allclose(joined, [[100, 100, 100, 400]] * 3)

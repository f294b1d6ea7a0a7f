"""Joints in ignore regions: strictly inside, by frame, persons without joints removed."""

import dataclasses

import numpy as np

from jmpose_jax.metrics.ignore_regions import inside, remove_ignored
from jmpose_jax.metrics.reading import read_sequence

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
# A U: the middle of its bounding box is outside.
CONCAVE = np.array([[0, 0], [10, 0], [10, 10], [7, 10], [7, 3], [3, 3], [3, 10], [0, 10]], float)


def test_border_is_outside():
    points = np.array([[5, 5], [0, 5], [10, 10], [10, 5], [9.999, 5], [-1, 5]], float)
    np.testing.assert_array_equal(inside((SQUARE,), points), [True, False, False, False, True, False])


def test_concave_and_several():
    points = np.array([[[5, 6], [5, 1]], [[1, 9], [25, 25]]], float)
    np.testing.assert_array_equal(inside((CONCAVE,), points), [[False, True], [True, False]])
    np.testing.assert_array_equal(inside((CONCAVE, SQUARE + 20), points), [[False, True], [True, True]])
    assert not inside((), points).any()


def test_persons_without_joints_go(golden):
    truth = read_sequence(golden / "poseval/gt/012834_mpii_test.json", ground_truth=True)
    everything = (np.array([[-1e4, -1e4], [1e4, -1e4], [1e4, 1e4], [-1e4, 1e4]]),)
    regions = tuple(everything if f == 2 else () for f in range(truth.num_frames))
    left = remove_ignored(truth, regions)
    assert not (left.frame == 2).any() and (truth.frame == 2).any()
    assert left.num_persons == (truth.frame != 2).sum()
    assert left.num_frames == truth.num_frames
    # In frames without a region persons without joints stay, as in the official evaluator.
    hollow = dataclasses.replace(truth, present=np.zeros_like(truth.present))
    assert remove_ignored(hollow, ((),) * truth.num_frames).num_persons == truth.num_persons

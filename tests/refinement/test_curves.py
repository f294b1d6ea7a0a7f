"""Curves frame by frame."""

from types import SimpleNamespace

import numpy as np

from jmpose_jax.metrics.kinematics import acceleration_error, mpjpe
from jmpose_jax.pose_files.records import Track
from jmpose_jax.refinement.curves import GAP, acceleration_curve, error_curves, pairs, spread
from jmpose_jax.refinement.jitter import mean_of_joints


def track(frames, poses):
    return Track("a", np.asarray(frames), poses, np.ones(poses.shape[:2]), np.arange(len(poses)))


def test_means_are_those_of_the_metrics():
    rng = np.random.default_rng(0)
    poses, true = rng.normal(size=(2, 20, 4, 3))
    every = np.arange(4)
    curves = error_curves(track(range(20), poses), track(range(20), true), every, every)
    np.testing.assert_allclose(np.nanmean(curves["error"][1]), mpjpe(poses, true))
    np.testing.assert_allclose(np.nanmean(curves["acceleration_error"][1]), acceleration_error(poses, true))


def test_frames_that_both_have():
    poses = np.zeros((4, 1, 2))
    curves = error_curves(track([3, 4, 6, 7], poses), track([4, 5, 6, 7], poses + 3), np.array([0]), np.array([0]))
    frames, values = curves["error"]
    assert frames.tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(values, [np.nan, np.sqrt(18), np.nan, np.sqrt(18), np.sqrt(18)])
    away = error_curves(track([0], poses[:1]), track([9], poses[:1]), np.array([0]), np.array([0]))
    assert np.isnan(away["error"][1]).all()


def test_the_truth_is_that_of_the_part_that_is_shown():
    parts = [0, 1, 2 * GAP, 2 * GAP + 1, 2 * GAP + 2]
    true = track([*range(9), *parts[2:]], np.zeros((12, 1, 2)))
    curve = error_curves(track(parts, np.ones((5, 1, 2))), true, np.array([0]), np.array([0]))["error"]
    assert curve[0].tolist() == parts[2:] and np.allclose(curve[1], np.sqrt(2))


def test_the_longest_part_is_shown():
    poses, first = spread(track([0, 1, 2 * GAP, 2 * GAP + 1, 2 * GAP + 3], np.ones((5, 2, 2))))
    assert first == 2 * GAP and len(poses) == 4 and np.isnan(poses[2]).all()
    frames, values = acceleration_curve(track([5, 6, 7], np.array([[[0.0, 0]], [[0, 0]], [[3, 4]]])))
    assert frames.tolist() == [5, 6, 7] and values[1] == 5 and np.isnan(values[[0, 2]]).all()


def test_joints_by_name_and_means():
    one, other = (SimpleNamespace(joints=joints) for joints in (("a", "b", "c"), ("c", "d", "a")))
    assert [each.tolist() for each in pairs(one, other)] == [[0, 2], [2, 0]]
    np.testing.assert_array_equal(mean_of_joints(np.array([[1, np.nan], [np.nan, np.nan]])), [1, np.nan])

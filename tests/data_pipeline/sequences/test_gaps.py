"""Gaps stand on straight lines, for the network alone."""

import numpy as np

from data_pipeline.sequences.gaps import filled, known_joints


def test_lines_between_and_constants_at_the_ends():
    poses = np.arange(6.0)[:, None, None] * np.array([[[1.0, -2.0], [3.0, 0.5]]])
    broken = poses.copy()
    broken[[0, 2, 3], 0] = np.nan
    broken[3, 1, 1] = np.nan  # half a joint is none
    known = known_joints(broken)
    assert known.sum() == 8
    whole = filled(broken, known)
    np.testing.assert_allclose(whole[1:], poses[1:])
    np.testing.assert_allclose(whole[0, 0], poses[1, 0])
    assert np.isnan(broken).any()  # the input stays


def test_a_joint_that_is_never_seen_is_in_the_middle_of_the_others():
    poses = np.full((2, 3, 2), np.nan)
    poses[:, 0], poses[:, 1] = 1.0, 3.0
    np.testing.assert_allclose(filled(poses, known_joints(poses))[:, 2], 2.0)
    nothing = np.full((2, 3, 2), np.nan)
    np.testing.assert_array_equal(filled(nothing, known_joints(nothing)), 0.0)

"""Gaps: which are filled, and by what."""

import numpy as np

from jmpose_jax.refinement.gaps import fill_gaps, filled, known_joints


def test_short_gaps_are_filled_on_lines_and_others_stay():
    truth = np.arange(12.0)[:, None, None] * np.array([[[3.0, -2.0]]]) + np.array([[[1.0, 5.0]]])
    valid = np.ones((12, 1), bool)
    valid[[0, 3, 4, 7, 8, 9, 11], 0] = False
    poses = np.where(valid[..., None], truth, 777.0)  # what is not valid is not read
    found, done = fill_gaps(poses, valid, 2)
    assert np.flatnonzero(done).tolist() == [3, 4]
    known = (valid | done)[:, 0]
    np.testing.assert_allclose(found[known], truth[known])
    assert np.isnan(found[~known]).all()
    assert np.flatnonzero(fill_gaps(poses, valid, 3)[1]).tolist() == [3, 4, 7, 8, 9]


def test_nothing_to_fill():
    poses, valid = np.zeros((4, 2, 3)), np.zeros((4, 2), bool)
    assert not fill_gaps(poses, valid, 9)[1].any()
    valid[0] = valid[3] = True
    assert not fill_gaps(poses, valid, 0)[1].any()
    assert fill_gaps(poses, valid, 2)[1].sum() == 4


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

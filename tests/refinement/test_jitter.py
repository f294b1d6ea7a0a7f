"""Accelerations of joints."""

import numpy as np

from jmpose_jax.refinement.jitter import accelerations


def test_second_differences_where_three_frames_know_a_joint():
    poses = np.zeros((5, 2, 2))
    poses[:, 0, 0] = np.arange(5) ** 2  # second difference 2
    valid = np.ones((5, 2), bool)
    valid[4, 1] = False
    found = accelerations(poses, valid)
    np.testing.assert_array_equal(found[:, 0], [np.nan, 2, 2, 2, np.nan])
    np.testing.assert_array_equal(found[:, 1], [np.nan, 0, 0, np.nan, np.nan])
    assert np.isnan(accelerations(poses[:2], valid[:2])).all()

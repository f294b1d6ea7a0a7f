"""Gaps: which are filled, and by what."""

import numpy as np

from jmpose_jax.refinement.gaps import fill_gaps


def test_short_gaps_are_filled_on_lines_and_others_stay():
    truth = np.arange(12.0)[:, None, None] * np.array([[[3.0, -2.0]]]) + np.array([[[1.0, 5.0]]])
    valid = np.ones((12, 1), bool)
    valid[[0, 3, 4, 7, 8, 9, 11], 0] = False
    poses = np.where(valid[..., None], truth, 777.0)  # what is not valid is not read
    found, filled = fill_gaps(poses, valid, 2)
    assert np.flatnonzero(filled).tolist() == [3, 4]
    known = (valid | filled)[:, 0]
    np.testing.assert_allclose(found[known], truth[known])
    assert np.isnan(found[~known]).all()
    assert np.flatnonzero(fill_gaps(poses, valid, 3)[1]).tolist() == [3, 4, 7, 8, 9]


def test_nothing_to_fill():
    poses, valid = np.zeros((4, 2, 3)), np.zeros((4, 2), bool)
    assert not fill_gaps(poses, valid, 9)[1].any()
    valid[0] = valid[3] = True
    assert not fill_gaps(poses, valid, 0)[1].any()
    assert fill_gaps(poses, valid, 2)[1].sum() == 4

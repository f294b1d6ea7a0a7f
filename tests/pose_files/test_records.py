"""Tracks and grids of frames."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.records import frame_grid, make_track


def test_grid():
    frames, first, step = frame_grid(np.array([12, 6, 9, 21]))
    assert (frames.tolist(), first, step) == ([2, 0, 1, 5], 6, 3)
    assert frame_grid(np.array([5])) [1:] == (5, 1) and frame_grid(np.array([], int))[1:] == (0, 1)  # fmt: skip
    assert frame_grid(np.array([7, 7]))[0].tolist() == [0, 0]


def test_what_is_missing():
    poses = np.ones((4, 2, 2))
    poses[0, 0, 1] = np.inf
    scores = np.array([[1.0, 0.0], [np.nan, 0.5], [0.1, 0.2], [0.3, 0.4]])
    track = make_track("f", "a", np.array([3, 1, 2, 0]), poses, scores, np.arange(4))
    assert track.frames.tolist() == [0, 1, 2, 3] and track.entries.tolist() == [3, 1, 2, 0]
    assert track.valid.tolist() == [[True, True], [False, True], [True, True], [False, False]]
    unscored = make_track("f", "a", np.arange(4), poses, np.full((4, 2), np.nan), np.arange(4))
    assert unscored.valid.sum() == 7


def test_faults():
    with pytest.raises(InputError, match="identity a occurs twice in frame 4"):
        make_track("f", "a", np.array([4, 4]), np.ones((2, 1, 2)), np.ones((2, 1)), np.arange(2))
    with pytest.raises(InputError, match="joint 0 of identity a has the coordinate 1e"):
        make_track("f", "a", np.array([4]), np.full((1, 1, 2), 1e12), np.ones((1, 1)), np.arange(1))
    with pytest.raises(InputError, match="score 1e"):
        make_track("f", "a", np.array([4]), np.ones((1, 1, 2)), np.full((1, 1), 1e12), np.arange(1))

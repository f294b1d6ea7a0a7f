"""One sequence: gaps, bounds on moves, and what is refused."""

import math

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.filters import Gaussian, OneEuro
from jmpose_jax.refinement.sequence import Options, check_fps, refine_sequence


@pytest.fixture
def poses():
    return np.random.default_rng(0).normal(size=(30, 3, 2)) * 5 + 100


def test_gaps_are_filled_counted_and_smoothed(poses):
    poses[10:12, 1] = np.nan
    poses[20:28, 2] = np.inf  # too long a gap, and no number either
    found = refine_sequence(poses, np.ones((30, 3), bool), None, Gaussian(), Options(max_gap=2))
    assert found.filled.sum() == 2 and found.filled[10:12, 1].all()
    assert np.isnan(found.poses[20:28, 2]).all()
    assert np.isfinite(np.delete(found.poses, slice(20, 28), axis=0)).all()
    assert not found.held.any()


def test_no_joint_moves_farther_than_allowed(poses):
    free = refine_sequence(poses, np.ones((30, 3), bool), None, Gaussian())
    far = np.linalg.norm(free.poses - poses, axis=-1) > 2
    assert far.any() and not far.all()
    found = refine_sequence(poses, np.ones((30, 3), bool), None, Gaussian(), Options(max_move=2.0))
    move = np.linalg.norm(found.poses - poses, axis=-1)
    assert move.max() <= 2 + 1e-9
    np.testing.assert_array_equal(found.held, far)
    np.testing.assert_array_equal(found.poses[~far], free.poses[~far])
    held, move = found.poses - poses, free.poses - poses
    np.testing.assert_allclose(held[..., 0] * move[..., 1], held[..., 1] * move[..., 0], atol=1e-9)  # the same way


def test_filled_joints_have_no_place_to_be_held_to(poses):
    poses[10, 0] = np.nan
    found = refine_sequence(poses, np.ones((30, 3), bool), None, Gaussian(), Options(max_move=0.0))
    assert np.isfinite(found.poses[10, 0]).all() and not found.held[10, 0]
    kept = np.delete(np.arange(30), 10)
    np.testing.assert_array_equal(found.poses[kept], poses[kept])


def test_one_frame_passes_unchanged(poses):
    def never(*_):
        raise AssertionError("called")

    never.needs_fps = False
    found = refine_sequence(poses[:1], np.ones((1, 3), bool), None, never)
    np.testing.assert_array_equal(found.poses, poses[:1])


def test_faults(poses):
    every = np.ones((30, 3), bool)
    with pytest.raises(InputError, match="fps"):
        refine_sequence(poses, every, None, OneEuro())
    for fps in (0.0, -1.0, 1e-300, 1e12, math.inf, math.nan):
        with pytest.raises(InputError, match="fps="):
            check_fps(OneEuro(), fps)
    with pytest.raises(InputError, match=r"\[30, 2\]"):
        refine_sequence(poses, every[:, :2], 25.0, OneEuro())
    for options in (
        {"min_score": math.nan},
        {"max_gap": -1},
        {"max_gap": 10**13},
        {"max_move": -1.0},
        {"max_move": math.nan},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            Options(**options)

    def astray(poses, valid, fps):
        return poses * np.nan

    astray.needs_fps = False
    with pytest.raises(InputError, match="not finite"):
        refine_sequence(poses, every, None, astray)

"""Joints that jump out of their way and back."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.records import make_track
from jmpose_jax.refinement import outliers as module
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.outliers import outliers
from jmpose_jax.refinement.sequence import Options, refine_sequence
from jmpose_jax.refinement.tracks import refine_track


def walk(frames=60, joints=5):
    """A person of about 100 pixels who walks and bobs, and swings one joint, with jitter of half a pixel."""
    rng = np.random.default_rng(0)
    t = np.arange(frames)
    poses = np.stack([np.linspace(0, 80, joints)] * 2, -1)[None] + np.stack([7.0 * t, 20 * np.sin(t / 4)], -1)[:, None]
    poses[:, 3, 0] += 30 * np.sin(t / 3)
    return poses + rng.normal(0, 0.5, poses.shape), np.ones((frames, joints), bool)


def test_jumps_are_found_and_motion_is_not():
    poses, valid = walk()
    assert not outliers(poses, valid, 5.0).any() and outliers(poses, valid, 3.0).mean() < 0.02
    jumped, wrong = poses.copy(), np.zeros_like(valid)
    wrong[20, 1] = wrong[33:36, 2] = wrong[0, 4] = True
    jumped[wrong] += [60.0, -45.0]
    valid[32:38, 0] = False
    np.testing.assert_array_equal(outliers(jumped, valid, 5.0), wrong)
    assert not outliers(np.ones((30, 2, 2)), np.ones((30, 2), bool), 3.0).any()
    assert not outliers(jumped[:4], valid[:4], 3.0).any() and outliers(poses[:0], valid[:0], 3.0).shape == (0, 5)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    poses, valid = walk(50)
    poses[3::12, 1] += 90.0
    whole = outliers(poses, valid, 3.0)
    monkeypatch.setattr(module, "BLOCK", 8)
    np.testing.assert_array_equal(outliers(poses, valid, 3.0), whole)
    assert whole[3::12, 1].all() and whole.sum() < 8


def test_the_median_leaves_nan_out():
    values = np.array([[3.0, np.nan, 1.0, 2.0], [4.0, np.nan, 1.0, np.nan], [np.nan] * 4])
    np.testing.assert_array_equal(module._median(values), [2.0, 2.5, np.nan])


def test_a_rejected_joint_is_filled_or_stays():
    poses, valid = walk()
    clean = refine_sequence(poses, valid, 30.0, Gaussian()).poses
    jumped = poses.copy()
    jumped[30, 2] += 60.0
    spread, rejected = (
        refine_sequence(jumped, valid, 30.0, Gaussian(), Options(reject=reject)) for reject in (None, 5.0)
    )
    apart = [np.abs(found.poses - clean)[25:36, 2].max() for found in (spread, rejected)]
    assert apart[0] > 10 > 2 > apart[1] and rejected.rejected.sum() == rejected.filled.sum() == 1
    track = make_track("t", "0", np.arange(60), jumped, np.ones((60, 5)), np.arange(60))
    after, report = refine_track(track, 30.0, Gaussian(), Options(reject=5.0))
    assert report.rejected_joints == report.filled_joints == 1
    np.testing.assert_array_equal(after.poses, rejected.poses)
    kept, report = refine_track(track, 30.0, Gaussian(), Options(max_gap=0, reject=5.0))
    np.testing.assert_array_equal(kept.poses[30, 2], jumped[30, 2])
    assert (report.rejected_joints, report.filled_joints, report.missing_joints) == (1, 0, 0)
    assert report.jitter_before > report.jitter_after > 0 and report.moved_joints == 300 and report.largest_move > 0
    with pytest.raises(InputError, match="reject=0.5"):
        Options(reject=0.5)

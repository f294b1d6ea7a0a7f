"""Figures of pose sequences: official numbers, joints that are not known, sequences of other lengths."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.pose_sequences import COLUMNS, longest_side, pck_column, score_sequences


def test_official_numbers_in_space(shared):
    folder = shared / "data/golden_kinematic"
    data, expected = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())
    scores = score_sequences([data["pred3d"]], [data["gt3d"]], roots=(0,))
    expected = expected["3d_root_relative_root0"]
    for column, name in (("MPJPE", "mpjpe_mm"), ("PA-MPJPE", "pa_mpjpe_mm"), ("Accel", "accel_mm_per_frame2")):
        assert 1e3 * scores.mean[column] == pytest.approx(expected[name], abs=1e-3)
        assert 1e3 * np.mean(scores.joints[column]) == pytest.approx(expected[name], abs=1e-3)
    assert scores.frames == 60


def test_official_numbers_in_pictures(shared):
    folder = shared / "data/golden_kinematic"
    data, expected = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())
    boxes = data["bbox_xyxy"]
    scale = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    scores = score_sequences([data["pred2d"]], [data["gt2d"]], [scale])
    for threshold in (0.05, 0.1, 0.2):
        column = pck_column(threshold)
        found = scores.joints[column] / 100
        np.testing.assert_allclose(found, expected["jhmdb_pck_per_joint"][str(threshold)], atol=1e-6)
        assert scores.mean[column] / 100 == pytest.approx(expected["jhmdb_pck_mean"][str(threshold)], abs=1e-6)


@pytest.fixture
def poses():
    return np.random.default_rng(0).normal(size=(9, 6, 3))


def test_names_of_columns():
    assert COLUMNS == ("MPJPE", "PA-MPJPE", "Accel", "PCK@.05", "PCK@.1", "PCK@.2")


def test_unknown_joints_are_left_out_by_themselves(poses):
    found = poses + np.array([0.0, 3.0, 4.0])
    truth = poses.copy()
    truth[2, 1], found[5, 4] = np.nan, np.nan
    found[7, 0] += 100
    truth[7, 0] = np.nan
    scores = score_sequences([found], [truth])
    assert scores.mean["MPJPE"] == pytest.approx(5) and scores.mean["Accel"] == pytest.approx(0, abs=1e-9)
    assert scores.mean["PA-MPJPE"] == pytest.approx(0, abs=1e-9)
    assert scores.frames == 9


def test_lengths_pool_frames_and_pck_pools_sequences(poses):
    right, wrong = poses, poses[:3] + 1e3
    scores = score_sequences([right, wrong], [poses, poses[:3]])
    assert scores.mean["PCK@.1"] == pytest.approx(50)
    assert scores.mean["MPJPE"] == pytest.approx(1e3 * np.sqrt(3) * 3 / 12)


def test_thresholds_are_inclusive_shares_of_the_scale():
    truth = np.zeros((1, 4, 2))
    found = truth + np.array([5.0, 0.0])
    assert score_sequences([found], [truth], [np.array([100.0])]).mean["PCK@.05"] == 100
    assert score_sequences([found], [truth], [np.array([99.0])]).mean["PCK@.05"] == 0


def test_nothing_is_known(poses):
    scores = score_sequences([poses], [np.full_like(poses, np.nan)])
    assert scores.frames == 0 and all(np.isnan(value) for value in scores.mean.values())


def test_roots_are_taken_off(poses):
    moving = poses + np.arange(9)[:, None, None]
    assert score_sequences([moving], [poses], roots=(0, 1)).mean["MPJPE"] == pytest.approx(0, abs=1e-12)


def test_side_of_the_known_joints(poses):
    poses = np.zeros((2, 3, 2))
    poses[0, 1] = (3, 4)
    poses[0, 2] = poses[1] = np.nan
    np.testing.assert_array_equal(longest_side(poses), [4, np.nan])


def test_refused(poses):
    with pytest.raises(InputError, match=r"\[8, 6, 3\]"):
        score_sequences([poses[:8]], [poses])
    with pytest.raises(InputError, match="1 predicted sequences and 2"):
        score_sequences([poses], [poses, poses])

"""MPJPE, PA-MPJPE and acceleration error: official numbers and invariances."""

import json

import numpy as np
import pytest

from jmpose_jax.metrics import kinematics


def test_official_numbers(shared):
    folder = shared / "data/golden_kinematic"
    data, expected = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())
    expected = expected["3d_root_relative_root0"]
    predicted, target = (kinematics.root_relative(data[name], (0,)) for name in ("pred3d", "gt3d"))
    # The official functions work in float32; metres against millimetres.
    assert kinematics.mpjpe(predicted, target) == pytest.approx(expected["mpjpe_mm"] / 1e3, abs=1e-6)
    assert kinematics.pa_mpjpe(predicted, target) == pytest.approx(expected["pa_mpjpe_mm"] / 1e3, abs=1e-6)
    assert kinematics.acceleration_error(predicted, target) == pytest.approx(
        expected["accel_mm_per_frame2"] / 1e3, abs=1e-6
    )


@pytest.fixture
def poses():
    return np.random.default_rng(0).normal(size=(9, 14, 3))


def rotation(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def test_procrustes_undoes_a_similarity(poses):
    moved = 1.7 * poses @ rotation(0.8) + np.array([3.0, -1.0, 2.0])
    assert kinematics.mpjpe(moved, poses) > 1
    assert kinematics.pa_mpjpe(moved, poses) == pytest.approx(0, abs=1e-12)


def test_procrustes_does_not_reflect(poses):
    mirrored = poses * np.array([-1.0, 1.0, 1.0])
    assert kinematics.pa_mpjpe(mirrored, poses) > 0.1
    collapsed = np.zeros_like(poses)
    assert np.isfinite(kinematics.pa_mpjpe(collapsed, poses))


def test_acceleration_ignores_constant_velocity(poses):
    drift = np.arange(9)[:, None, None] * np.array([0.1, -0.2, 0.3])
    assert kinematics.acceleration_error(poses + drift, poses) == pytest.approx(0, abs=1e-12)
    bent = poses.copy()
    bent[4] += np.array([1.0, 0, 0])
    assert kinematics.acceleration_error(bent, poses) == pytest.approx((1 + 2 + 1) / 7)
    assert np.isnan(kinematics.acceleration_error(poses[:2], poses[:2]))


def test_nan_frames_are_left_out(poses):
    shifted = poses + np.array([0.0, 0.0, 2.0])
    shifted[3, 5] = np.nan
    assert kinematics.mpjpe(shifted, poses) == pytest.approx(2)
    assert np.isnan(kinematics.mpjpe(poses[:0], poses[:0]))
    with pytest.raises(ValueError, match="must be"):
        kinematics.mpjpe(poses[:, :3], poses)

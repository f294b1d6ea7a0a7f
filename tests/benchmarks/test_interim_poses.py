"""The benchmark of interim poses: its interpolations, its truth between frames, its crops and its figures."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import CubicSpline

from benchmarks import interim_poses
from benchmarks.interim_poses import (
    Clips,
    clips_of,
    draw,
    most_bent,
    score,
    spline,
    straight,
    summary,
    true_places,
)
from configs import tipsd
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.render import render_video, video_rng
from data_pipeline.synthetic.scene import frame_moments


def test_interpolations():
    places = np.random.default_rng(0).normal(size=(4, 3, 5, 2))
    expected = CubicSpline([0, 1, 2], places, axis=1, bc_type="natural")([0.5, 1.5])
    np.testing.assert_allclose(spline(places), expected)
    line = np.stack([places[:, 0], places[:, 0] + 1, places[:, 0] + 2], 1)
    np.testing.assert_allclose(spline(line), straight(line))


def test_truth_and_crops_of_a_rendered_video(tmp_path):
    scene = dataclasses.replace(SyntheticConfig(), num_frames=5, fast_fraction=1.0, width=160, height=120)
    video = render_video(video_rng(3, "test", 0), scene)
    moments = frame_moments(scene)
    whole = true_places(video, scene, moments)
    np.testing.assert_allclose(whole, video.joints[: len(whole)])
    half = true_places(video, scene, moments[:-1] + 0.5)
    nearer = np.linalg.norm(half - (whole[:, :-1] + whole[:, 1:]) / 2, axis=-1)
    assert 0 < np.median(nearer) < 0.5 * np.median(np.linalg.norm(np.diff(whole, axis=1), axis=-1))
    clips = clips_of(video, scene, tipsd.get_config().dataset)
    count = len(clips.batch.valid)
    assert clips.batch.frames.shape == (count, 3, 128, 96, 3) and clips.counted.any()
    known = clips.batch.joint_weights > 0
    np.testing.assert_allclose(clips.frames[:, 1][known], clips.batch.keypoints[known], atol=1e-3)
    perfect = score(clips.frames, clips.between, clips)
    assert perfect["synthesized"] == 0 and perfect["straight"] == perfect["true, straight"] > 0
    assert perfect["joints"] == clips.counted.sum()
    clip, side, joint = most_bent(clips)
    away = np.linalg.norm(straight(clips.frames) - clips.between, axis=-1)
    assert clips.counted[clip, side, joint] and away[clip, side, joint] == away[clips.counted].max()
    draw(tmp_path / "pictures" / "one.png", clips.frames, clips.between, clips)
    assert Image.open(tmp_path / "pictures" / "one.png").size[0] > 300


def test_figures_are_paired_by_video():
    rows = [
        {"synthesized": 1.0, "straight": 2.0, "spline": 2.5, "true, straight": 0.5, "joints": 3},
        {"synthesized": 4.0, "straight": 6.0, "spline": 6.5, "true, straight": 0.5, "joints": 5},
    ]
    found = summary(rows)
    assert found["synthesized less straight"] == -1.5 and found["spline less straight"] == 0.5
    assert found["synthesized less straight, error"] == pytest.approx(0.5)
    assert found["videos"] == 2 and found["joints"] == 8
    text = interim_poses.table({"runs": [{"seed": 0, "figures": {"slow": found, "fast": found}}]})
    assert "| seed 0 | slow | 2.50 | 4.00 | 4.50 | 0.50 | -1.500 ± 0.500 |" in text


def test_only_counted_joints_count():
    truth = np.zeros((1, 2, 2, 2))
    counted = np.array([[[True, False], [True, False]]])
    away = truth.copy()
    away[:, :, 0, 0], away[:, :, 1, 0] = 3, 100
    found = score(np.zeros((1, 3, 2, 2)), away, Clips(None, np.zeros((1, 3, 2, 2)), truth, counted))
    assert found["synthesized"] == 3 and found["straight"] == 0 and found["joints"] == 2

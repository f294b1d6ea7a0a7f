"""Jitter: by hand, and absent where three frames in a row are not."""

import numpy as np
import pytest

from jmpose_jax.inference.outputs.track_statistics import track_statistics
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import POSETRACK15


def video(frames, keypoints, scores=None, tracks=None):
    count = len(frames)
    return Predictions(
        "v",
        tuple({"id": i, "file_name": str(i)} for i in range(max(frames) + 1)),
        np.array(frames),
        np.asarray(keypoints, np.float32),
        np.ones((count, 15)) if scores is None else scores,
        np.tile([0.0, 0, 10, 50], (count, 1)),
        np.zeros(count, int) if tracks is None else np.array(tracks),
        POSETRACK15,
    )


def test_acceleration():
    t = np.arange(6.0)
    points = np.zeros((6, 15, 2))
    points[..., 0] = (7 * t)[:, None]  # an even motion has none
    points[:, 4, 1] = 1.5 * t**2  # 3 pixels/frame² of one joint in fifteen
    (track,) = track_statistics(video(range(6), points), 0.3)
    np.testing.assert_allclose(track.jitter, [np.nan, *[3 / 15] * 4, np.nan], atol=1e-6)
    np.testing.assert_allclose(track.relative, track.jitter / 50)
    scores = np.ones((6, 15))
    scores[2] = 0.1
    scores[2, 4] = 0.9
    (track,) = track_statistics(video(range(6), points, scores), 0.3)
    np.testing.assert_allclose(track.jitter, [np.nan, 3, 3, 3, 3 / 15, np.nan], atol=1e-6)


def test_gaps_have_none_and_order_does_not_matter():
    rng = np.random.default_rng(0)
    points = rng.random((6, 15, 2))
    frames, tracks = [5, 0, 1, 3, 4, 1], [2, 2, 2, 2, 2, 9]
    first, second = track_statistics(video(frames, points, tracks=tracks), 0.3)
    assert (first.track_id, second.track_id) == (2, 9) and first.frames.tolist() == [0, 1, 3, 4, 5]
    assert np.isnan(first.jitter).tolist() == [True, True, True, False, True]
    expected = np.linalg.norm(points[3] - 2 * points[4] + points[0], axis=-1).mean()
    assert first.jitter[3] == pytest.approx(expected, rel=1e-6)
    assert track_statistics(video([0], points[:1], tracks=[-1]), 0.3) == []

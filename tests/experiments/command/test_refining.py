"""What `predict --refine` does to a record, and what is said of it."""

import dataclasses

import numpy as np
import pytest

from experiments.command.refining import RefinedVideo, check_refine, refiner_of, said
from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.predictions import tracks_of
from jmpose_jax.records import Predictions
from jmpose_jax.refinement import network
from jmpose_jax.refinement.filters import SavitzkyGolay
from jmpose_jax.refinement.network import NetworkRefiner
from jmpose_jax.refinement.tracks import refine_track, total


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    frames = [f for f in range(30) if f not in (10, 11)]
    images = tuple({"id": f, "file_name": str(f)} for f in range(30))
    count = len(frames)
    return Predictions("v", images, np.array(frames), rng.normal(size=(count, 15, 2)).astype(np.float32) + 50,
                       np.full((count, 15), 0.5, np.float32), np.ones((count, 4), np.float32),
                       np.zeros(count, int))  # fmt: skip


def test_a_record_is_refined_and_gaps_are_filled(predictions):
    refined = RefinedVideo(*refiner_of("savgol", 15))
    after = refined(predictions, 25.0)
    (track,) = tracks_of(predictions)
    expected, report = refine_track(track, 25.0, SavitzkyGolay())
    assert after.frame.tolist() == list(range(30))
    np.testing.assert_allclose(after.keypoints, expected.poses, rtol=1e-6)
    assert (
        refined.remark == f", refined by savgol{said(report)}" and "30 joints filled, 2 poses added" in refined.remark
    )


def test_only_what_was_done_is_said(predictions):
    (track,) = tracks_of(predictions)
    _, report = refine_track(track, 25.0, SavitzkyGolay())
    assert "missing" not in said(report) and "held" not in said(report)
    more = dataclasses.replace(report, missing_joints=3, held_joints=4, filled_joints=0)
    assert "3 joints are still missing" in said(more) and "4 moves held" in said(more) and "filled" not in said(more)
    assert "no jitter to measure" in said(total([]))
    assert "(+0 %)" in said(dataclasses.replace(report, jitter_before=0.0, jitter_after=0.0))


def test_another_method(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--refine=median: neither one of"):
        check_refine("median")
    with pytest.raises(InputError, match="--refine="):
        refiner_of(str(tmp_path), 15)
    made = NetworkRefiner("deciwatch", lambda given: given, 21, 10, interval=10)
    monkeypatch.setattr(network, "from_checkpoint", lambda path, joints, dimensions: made)
    assert refiner_of(str(tmp_path), 15, 5) == ("deciwatch", made)
    with pytest.raises(InputError, match="--estimate_every=4: .* every 10th frame"):
        refiner_of(str(tmp_path), 15, 4)

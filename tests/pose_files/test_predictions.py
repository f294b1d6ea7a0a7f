"""Between tracks and the record of predictions."""

import dataclasses

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs import coco, deeplabcut, mot
from jmpose_jax.pose_files.predictions import to_predictions, tracks_of, with_tracks
from jmpose_jax.pose_files.reader import read_poses
from jmpose_jax.pose_files.records import ADDED
from jmpose_jax.records import Predictions
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_tracks
from jmpose_jax.skeletons import POSETRACK15
from tests.pose_files.conftest import write_rows


@pytest.fixture
def predictions():
    """Person 3 in frames 0, 1, 3, 4; person 8 in 4 alone."""
    rng = np.random.default_rng(0)
    images = tuple({"id": 20 + 2 * f, "file_name": f"{f}.jpg"} for f in range(5))
    return Predictions(
        video="v",
        images=images,
        image_id=np.array([20, 22, 26, 28, 28]),
        keypoints=rng.uniform(0, 99, (5, 15, 2)).astype(np.float32),
        scores=rng.uniform(0.1, 1, (5, 15)).astype(np.float32),
        boxes=np.array([[0, 0, 10, 10], [2, 0, 10, 10], [6, 0, 10, 20], [8, 0, 10, 20], [1, 1, 1, 1]], np.float32),
        track_id=np.array([3, 3, 3, 3, 8]),
        box_scores=np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32),
    )


def test_tracks_there_and_back(predictions):
    tracks = tracks_of(predictions)
    assert [(t.name, t.frames.tolist(), t.entries.tolist()) for t in tracks] == [
        ("3", [0, 1, 3, 4], [0, 1, 2, 3]), ("8", [4], [4]),
    ]  # fmt: skip
    same = with_tracks(predictions, tracks)
    for field in dataclasses.fields(predictions):
        value = getattr(predictions, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(same, field.name), value)


def test_added_people_stand_in_their_frame(predictions):
    tracks, _ = refine_tracks(tracks_of(predictions), None, Gaussian(1.0))
    refined = with_tracks(predictions, tracks)
    assert refined.frame.tolist() == [0, 1, 2, 3, 4, 4] and refined.track_id.tolist() == [3, 3, 3, 3, 3, 8]
    np.testing.assert_allclose(refined.boxes[2], [4, 0, 10, 15])
    assert refined.box_scores[2] == np.float32(0.7) and refined.track_score is None
    np.testing.assert_allclose(refined.keypoints[2], tracks[0].poses[2], rtol=1e-6)
    assert tracks[0].entries[2] == ADDED and refined.keypoints.dtype == np.float32
    np.testing.assert_array_equal(refined.keypoints[5], predictions.keypoints[4])


def test_other_forms_hold_what_a_file_held(pose_file, people, tmp_path):
    file = read_poses(pose_file)
    predictions = to_predictions(file, file.tracks, 25.0)
    assert len(predictions.image_id) == 10 and len(predictions.images) == 6
    assert predictions.numbers.tolist() == [file.first + file.step * i for i in range(6)]
    assert np.isfinite(predictions.keypoints).all() and (predictions.scores == 0).sum() == 1
    first = predictions.keypoints[0]
    np.testing.assert_allclose(predictions.boxes[0], [*first.min(0), *(first.max(0) - first.min(0))], rtol=1e-5)
    assert len(coco.to_coco(predictions)) == 10
    mot.write_mot(predictions, tmp_path / "a.txt")
    deeplabcut.write_dlc_csv(predictions, tmp_path / "dlc.csv")
    again = read_poses(tmp_path / "dlc.csv")
    for track, before in zip(again.tracks, file.tracks):
        known = before.valid[before.valid.any(axis=1)]
        points = before.poses[before.valid.any(axis=1)]
        np.testing.assert_allclose(track.poses[known], points[known], rtol=1e-5)


@pytest.mark.parametrize(
    "names, ids", [(("1", "01"), [0, 1]), (("1", "²"), [0, 1]), (("7", "-3"), [0, 1]), (("12", "7"), [7, 12])]
)
def test_identities_stay_apart(tmp_path, names, ids):
    rows = [[f, name, "a", f, 1] for name in names for f in range(3)]
    write_rows(tmp_path / "a.csv", [["frame", "track_id", "joint", "x", "y"], *rows])
    file = read_poses(tmp_path / "a.csv")
    assert np.unique(to_predictions(file, file.tracks).track_id).tolist() == ids


def test_known_joints_are_known_and_three_dimensions_refused(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.ones((3, 15, 2)), joints=np.array(POSETRACK15.joints))
    file = read_poses(tmp_path / "a.npz")
    predictions = to_predictions(file, file.tracks)
    assert predictions.skeleton is POSETRACK15 and predictions.times is None and (predictions.scores == 1).all()
    np.savez(tmp_path / "b.npz", poses=np.ones((3, 15, 3)))
    file = read_poses(tmp_path / "b.npz")
    with pytest.raises(InputError, match="3 dimensions"):
        to_predictions(file, file.tracks)

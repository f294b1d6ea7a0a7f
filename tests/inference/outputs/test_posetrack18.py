"""PoseTrack18 files: official form, exact numbers, whole or not at all."""

import dataclasses
import json

import numpy as np
import pytest

from jmpose_jax.files import atomic_text
from jmpose_jax.inference.outputs.posetrack18 import to_posetrack18, write_posetrack18
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import COCO17, POSETRACK15


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    images = tuple({"id": 10**10 + i, "file_name": f"images/val/v/{i:06d}.jpg"} for i in range(3))
    return Predictions(
        video="v",
        images=images,
        image_id=np.array([10**10, 10**10 + 2, 10**10 + 2]),
        keypoints=rng.uniform(-50, 1900, (3, 15, 2)).astype(np.float32),
        scores=rng.random((3, 15)).astype(np.float32),
        boxes=rng.uniform(0, 100, (3, 4)).astype(np.float32),
        track_id=np.array([4, 0, 4]),
    )


def test_official_form(predictions):
    content = to_posetrack18(predictions, np.array([0, 1, 0]))
    assert len(content["images"]) == 3 and len(content["categories"]) == 1
    names = content["categories"][0]["keypoints"]
    first = content["annotations"][0]
    assert len(first["keypoints"]) == 51 and len(first["scores"]) == 17
    table = np.array(first["keypoints"]).reshape(17, 3)
    for ear in ("left_ear", "right_ear"):
        np.testing.assert_array_equal(table[names.index(ear)], 0)
        assert first["scores"][names.index(ear)] == 0
    for k, joint in enumerate(POSETRACK15.joints):
        np.testing.assert_array_equal(table[names.index(joint)].astype(np.float32), [*predictions.keypoints[0, k], 1])
    assert [a["id"] % 100 for a in content["annotations"]] == [0, 0, 1]
    assert [a["person_index"] for a in content["annotations"]] == [0, 1, 0]
    assert "person_index" not in to_posetrack18(predictions)["annotations"][0]


def test_written_and_read_without_loss(predictions, tmp_path):
    write_posetrack18(predictions, tmp_path / "v.json", np.array([0, 1, 0]))
    sequence = read_sequence(tmp_path / "v.json")
    assert sequence.present.all() and sequence.num_frames == 3
    np.testing.assert_array_equal(sequence.keypoints.astype(np.float32), predictions.keypoints)
    np.testing.assert_array_equal(sequence.scores.astype(np.float32), predictions.scores)
    np.testing.assert_array_equal(sequence.track_ids, predictions.track_id)
    np.testing.assert_array_equal(sequence.person_index, [0, 1, 0])


def test_how_sure_an_identity_is(predictions, tmp_path):
    assert "track_score" not in to_posetrack18(predictions)["annotations"][0]
    sure = dataclasses.replace(predictions, track_score=np.array([0.25, 1, 0.5], np.float32))
    assert [a["track_score"] for a in to_posetrack18(sure)["annotations"]] == [0.25, 1.0, 0.5]
    write_posetrack18(sure, tmp_path / "v.json")
    assert read_sequence(tmp_path / "v.json").num_persons == 3


def test_an_exception_keeps_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_text(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_video_without_poses(tmp_path):
    empty = Predictions("v", ({"id": 0, "file_name": "v/0.jpg"},), np.zeros(0, int), np.zeros((0, 15, 2)),
                        np.zeros((0, 15)), np.zeros((0, 4)), np.zeros(0, int))  # fmt: skip
    write_posetrack18(empty, tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text())["annotations"] == []


def test_lost_frames_are_kept(predictions):
    assert to_posetrack18(predictions, lost_frames=(1,))["lost_frames"] == [1]
    assert "lost_frames" not in to_posetrack18(predictions)


def test_the_joints_of_coco_in_the_slots_of_the_form(people):
    content = to_posetrack18(people)
    names, first = content["categories"][0]["keypoints"], content["annotations"][0]
    table = np.array(first["keypoints"], np.float32).reshape(17, 3)
    for joint in set(names) & set(COCO17.joints):  # ears too
        np.testing.assert_array_equal(table[names.index(joint)], [*people.keypoints[0, COCO17.index(joint)], 1])
    assert (table[:, 2] == 1).all() and first["box_score"] == pytest.approx(0.9)

"""The whole of prediction on small videos with a model that can be checked: a bright square is the person."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.estimate import to_image
from jmpose_jax.inference.pipeline import estimate_poses, predict_video
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.video import VideoReader, VideoWriter
from jmpose_jax.metrics.reading import read_sequence

SIZE = (160, 120)


def place(i):
    """Left upper corner of the first person in frame i; the second one walks the other way."""
    return 10 + 2 * i, 40


def frames(count):
    for i in range(count):
        frame = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
        x, y = place(i)
        frame[y : y + 40, x : x + 20] = (220, 200, 180)
        yield frame


def detect(index, image):
    x, y = place(index)
    boxes = np.array([[100 - index, 60, 20, 40], [x, y, 20, 40]], np.float32)
    keep = slice(0, 2) if index % 4 else slice(1, 2)  # the second person is seen in three frames of four
    return Detections(boxes[keep], np.array([0.5, 0.9], np.float32)[keep])


def middle(variables, batch):
    """All joints in the middle of the crop; the score is that of the box."""
    centre = np.array([batch.frames.shape[3] / 2, batch.frames.shape[2] / 2], np.float32)
    points = np.broadcast_to(centre, (batch.frames.shape[0], 15, 2))
    return to_image(points, batch.transform), batch.box_score[:, None] + np.zeros((1, 15), np.float32)


@pytest.fixture
def predictor():
    return Predictor(middle, {}, input_size=(64, 48), delta=2, flow_source="none", batch_size=4)


@pytest.fixture
def video(tmp_path):
    with VideoWriter(tmp_path / "walk.mp4", 10, SIZE) as writer:
        for frame in frames(11):
            writer.write(frame)
    return tmp_path / "walk.mp4"


def test_poses_and_identities_in_order(predictor):
    found = list(estimate_poses(frames(11), predictor, detect))
    assert [poses.index for poses in found] == list(range(11))
    for poses in found:
        x, y = place(poses.index)
        expected = [[110 - poses.index, 80]] * (poses.index % 4 > 0) + [[x + 10, y + 20]]
        np.testing.assert_allclose(poses.keypoints[:, 7], expected, atol=1e-3)
        np.testing.assert_allclose(poses.scores[:, 0], [0.5, 0.9][-len(expected) :])
        assert poses.track_ids[-1] == 0
        assert poses.image[y + 5, x + 5, 0] == 220  # the picture of the same frame
    assert {int(poses.track_ids[0]) for poses in found if poses.index % 4} == {1}


def test_files(predictor, video, tmp_path):
    reported = []
    summary = predict_video(
        predictor, video, tmp_path / "out", detect, report=lambda poses: reported.append(poses.index)
    )
    assert (summary.frames, summary.persons, summary.tracks) == (11, 19, 2)
    assert reported == list(range(11))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["overlay.mp4", "poses.csv", "poses.json"]
    drawn = list(VideoReader(tmp_path / "out/overlay.mp4"))
    assert len(drawn) == 11 and drawn[0].shape == (120, 160, 3)
    original = list(VideoReader(video))
    assert np.abs(drawn[5].astype(int) - original[5]).max() > 60
    sequence = read_sequence(tmp_path / "out/poses.json")
    assert sequence.num_frames == 11 and sequence.num_persons == 19
    np.testing.assert_array_equal(np.unique(sequence.track_ids), [0, 1])
    with open(tmp_path / "out/poses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 19 * 15 and rows[-1]["frame"] == "10"


def test_ids_of_a_posetrack_file_are_kept(predictor, video, tmp_path):
    images = [{"id": 10128340000 + i, "file_name": f"images/val/012834_mpii_test/{i:06d}.jpg"} for i in range(11)]
    predict_video(predictor, video, tmp_path / "out", detect, images=images, max_frames=5)
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert content["images"] == images[:5]
    predict_video(predictor, video, tmp_path / "other", detect, images={4: images[4]})
    content = json.loads((tmp_path / "other/poses.json").read_text())
    assert content["images"][4] == images[4]
    assert len({image["id"] for image in content["images"]}) == len(content["images"]) == 11


def test_nobody_in_the_video(predictor, video, tmp_path):
    summary = predict_video(predictor, video, tmp_path / "out", lambda index, image: Detections.empty())
    assert (summary.frames, summary.persons) == (11, 0)
    assert json.loads((tmp_path / "out/poses.json").read_text())["annotations"] == []


def test_a_fault_on_the_way_leaves_nothing(predictor, video, tmp_path):
    def faulty(index, image):
        if index == 6:
            raise InputError("box of frame 6 lies outside")
        return detect(index, image)

    with pytest.raises(InputError, match="frame 6"):
        predict_video(predictor, video, tmp_path / "out" / "deep", faulty)
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_the_video(predictor):
    def peak(count):
        tracemalloc.start()
        for _ in estimate_poses(frames(count), predictor, detect):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)  # whatever is allocated once
    short, long = peak(20), peak(200)
    assert long < 1.2 * short + 100_000

"""`jmpose_jax.load`, with a network whose poses can be checked: all joints in the middle of the box."""

import os

import jax
import numpy as np
import pytest
from PIL import Image

import jmpose_jax
from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.estimate import to_image
from jmpose_jax.inference.library import PosePredictor
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.video.reader import VideoWriter
from jmpose_jax.weights import published

IMAGE = np.zeros((60, 80, 3), np.uint8)


def middle(variables, batch):
    centre = np.array([batch.frames.shape[3] / 2, batch.frames.shape[2] / 2], np.float32)
    points = np.broadcast_to(centre, (batch.frames.shape[0], 15, 2))
    return to_image(points, batch.transform), batch.box_score[:, None] + np.zeros((1, 15), np.float32)


def detect(index, image):
    return Detections(
        np.array([[10 + index, 10, 10, 20], [50, 10, 10, 20]], np.float32), np.array([0.9, 0.8], np.float32)
    )


@pytest.fixture
def predictor():
    made = Predictor(middle, {}, input_size=(64, 48), delta=1, flow_source="none", batch_size=4)
    return PosePredictor(made, lambda: detect)


def test_one_image(predictor):
    found = predictor(IMAGE)
    poses, scores, ids = found
    np.testing.assert_allclose(poses[:, 0], [[15, 20], [55, 20]], atol=1e-3)
    assert scores.shape == (2, 15) and ids.tolist() == [0, 1] and found.boxes.shape == (2, 4)
    assert poses.dtype == np.float32 and found.skeleton.num_joints == 15


def test_a_clip_keeps_people_apart(predictor):
    for clip in (np.stack([IMAGE] * 5), [IMAGE] * 5, iter([IMAGE] * 5)):
        poses, scores, ids = predictor(clip)
        assert len(poses) == len(scores) == 5 and [i.tolist() for i in ids] == [[0, 1]] * 5
        np.testing.assert_allclose([frame[0, 0, 0] for frame in poses], 15 + np.arange(5), atol=1e-3)


def test_every_given_box_gets_a_pose_in_its_order(predictor):
    same = [[10, 10, 10, 20], [10, 10, 10, 20]]  # of a detector, one of them would be the other's double
    assert predictor(IMAGE, same).poses.shape == (2, 15, 2)
    boxes = [[[50, 10, 10, 20], [10, 10, 10, 20]], [[10, 10, 10, 20], [50, 10, 10, 20]], []]
    found = predictor([IMAGE] * 3, boxes)
    assert [len(frame) for frame in found.poses] == [2, 2, 0]
    assert found.ids[0].tolist() == found.ids[1].tolist()[::-1]
    np.testing.assert_array_equal(found.boxes[1], boxes[1])


def test_a_video_is_read_as_it_goes(predictor, tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10, (80, 60)) as writer:
        for _ in range(6):
            writer.write(IMAGE)
    frames = predictor(tmp_path / "v.mp4")
    first = next(frames)
    assert first.poses.shape == (2, 15, 2) and len(list(frames)) == 5


@pytest.mark.parametrize(
    ("frames", "boxes", "says"),
    [
        (IMAGE.astype(np.float32), None, "uint8"),
        ([IMAGE, IMAGE[..., 0]], None, r"frames\[1\]"),
        (IMAGE[..., 0], None, r"image is uint8 \[60, 80\]"),
        (None, None, "NoneType"),
        (IMAGE, "abc", "no numbers"),
        (IMAGE, [[1, 2, 3], [1]], "no numbers"),
        (IMAGE, [[1, 2, 3]], "boxes"),
        (IMAGE, [[1, 2, 0, 4]], "positive"),
        (IMAGE, [[1, np.nan, 3, 4]], "boxes"),
        ([IMAGE, IMAGE], [[[1, 2, 3, 4]]], "1 frames are given for 2"),
        ("none.mp4", None, "none.mp4"),
        ("none.mp4", [[1, 2, 3, 4]], "--boxes"),
    ],
)
def test_input_at_fault_is_named(predictor, frames, boxes, says):
    with pytest.raises(InputError, match=says):
        predictor(frames, boxes)


def test_a_picture_that_cannot_be_read_has_no_poses(predictor, tmp_path):
    for n in range(3):
        Image.fromarray(IMAGE).save(tmp_path / f"f{n}.png")
    (tmp_path / "f1.png").write_text("junk")
    found = list(predictor(tmp_path))
    assert [(each.frame, len(each.poses)) for each in found] == [(0, 2), (1, 0), (2, 2)]


def test_whatever_is_an_array_is_an_image(predictor):
    assert predictor(Image.fromarray(IMAGE)).poses.shape == (2, 15, 2)
    assert predictor(jax.numpy.asarray(IMAGE)).poses.shape == (2, 15, 2)


def test_names_that_are_none(tmp_path):
    with pytest.raises(InputError, match="movenet_thunder, movenet_lightning"):
        jmpose_jax.load("movenet")
    with pytest.raises(InputError, match="holds no checkpoint"):
        jmpose_jax.load(tmp_path)


@pytest.mark.fetches
def test_movenet_in_three_lines(shared, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("JMPOSE_HOME", os.environ.get("JMPOSE_TEST_HOME") or str(tmp_path_factory.mktemp("home")))
    predictor = jmpose_jax.load("movenet_thunder")
    (path,) = (shared / "data" / "coco").rglob("000000000785.jpg")
    poses, scores, ids = predictor(np.asarray(Image.open(path)))
    assert poses.shape == (1, 17, 2) and scores.mean() > 0.5 and ids.tolist() == [0]
    assert published.is_whole("movenet_thunder")

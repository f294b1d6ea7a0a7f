"""Both versions of the poses on one video."""

import dataclasses

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.before_after import draw_before, write_comparison
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import Skeleton

LINE = Skeleton("file", ("left_a", "b"), (), ((0, 1),), ())


@pytest.fixture
def video(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10, (128, 96)) as writer:
        for _ in range(4):
            writer.write(np.zeros((96, 128, 3), np.uint8))
    return VideoReader(tmp_path / "v.mp4")


def poses(numbers, x):
    images = tuple({"id": n, "file_name": str(n)} for n in numbers)
    keypoints = np.tile(np.array([[[x, 40], [x, 80]]], np.float32), (len(numbers), 1, 1))
    return Predictions("v", images, np.array(numbers), keypoints, np.ones((len(numbers), 2), np.float32),
                       np.tile(np.float32([x, 40, 1, 40]), (len(numbers), 1)), np.zeros(len(numbers), int), LINE,
                       numbers=np.array(numbers))  # fmt: skip


def test_before_is_grey_and_after_in_colour_where_they_are(video, tmp_path):
    assert write_comparison(video, poses([1, 3], 30), poses([1, 3], 90), tmp_path / "o.mp4") == 2
    frames = [frame.astype(int) for frame in VideoReader(tmp_path / "o.mp4")]
    assert len(frames) == 4
    for number, frame in enumerate(frames):
        there = number in (1, 3)
        before, after = frame[45:75, 28:33], frame[45:75, 84:97]
        assert (before.max() > 100) == there and (after.max() > 100) == there
        if there:
            assert np.ptp(after, axis=-1).max() > 60 > np.ptp(before, axis=-1).max()


def test_missing_joints_are_not_drawn():
    image = np.zeros((96, 128, 3), np.uint8)
    draw_before(image, np.array([[30.0, 40], [0, 0]]), np.array([1.0, 0]), LINE)
    assert image[34:47, 24:37].max() > 100 and image[60:].max() == 0 and image[:8, :8].max() == 0


@pytest.mark.parametrize("wall", [0, 128, 205, 255])
def test_before_is_seen_on_every_wall(wall):
    image = np.full((96, 128, 3), wall, np.uint8)
    draw_before(image, np.array([[30.0, 20], [30, 70]]), np.ones(2), LINE)
    across = image[45, 24:37, 0].astype(int)
    assert np.abs(across - wall).max() > 70 and np.ptp(across) > 100


def test_another_video_is_refused(video, tmp_path):
    other = dataclasses.replace(poses([50], 30), numbers=np.array([50]))
    with pytest.raises(InputError, match="none of the frames"):
        write_comparison(video, other, other, tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()

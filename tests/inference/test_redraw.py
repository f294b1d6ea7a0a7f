"""An overlay from a second reading."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from jmpose_jax.inference.overlay import Overlay
from jmpose_jax.inference.redraw import draw_again
from jmpose_jax.inference.video.reader import Frame
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import Skeleton

LINE = Skeleton("file", ("left_a", "b"), (), ((0, 1),), ())


def seen_by(frames, pictures=False):
    images = tuple({"id": i, "file_name": str(i)} for i in range(3))
    keypoints = np.array([[[30, 40], [30, 80]], [[90, 40], [90, 80]]], np.float32)
    poses = Predictions("v", images, np.array([0, 2]), keypoints, np.ones((2, 2)), np.array([[20, 30, 20, 60]] * 2),
                        np.array([0, 0]), LINE)  # fmt: skip
    written = []
    writer = SimpleNamespace(write=lambda image, when: written.append((image, when)))
    source = SimpleNamespace(frames=lambda: iter(frames), pictures=pictures)
    draw_again(source, poses, Overlay(LINE, ("none",)), writer)
    return written


def test_poses_stand_on_their_frames_at_their_times():
    black = np.zeros((96, 128, 3), np.uint8)
    frames = [Frame(black, Fraction(5 + i, 10), lost=i == 1) for i in range(5)]
    written = seen_by(frames)
    assert [when for _, when in written] == [
        0,
        Fraction(1, 10),
        Fraction(2, 10),
    ]  # frames behind the poses' are left out
    (first, lost, last) = (image for image, _ in written)
    assert first[45:75, 25:36].max() > 100 and first[:, 80:].max() == 0
    assert last[45:75, 85:96].max() > 100 and last[:, :60].max() == 0
    assert lost[:20].max() > 100 and lost[30:].max() == 0  # what is said of a lost picture


def test_pictures_keep_their_names():
    black = np.zeros((96, 128, 3), np.uint8)
    frames = [Frame(black, Fraction(i), lost=i == 1, name=f"{i}.jpg") for i in range(3)]
    assert [name for _, name in seen_by(frames, pictures=True)] == ["0.jpg", "2.jpg"]

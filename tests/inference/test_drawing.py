"""Pictures: what must show shows, where it must, and nothing is drawn into the arguments."""

import cv2
import numpy as np
import pytest

from jmpose_jax.inference import drawing
from jmpose_jax.skeletons import POSETRACK15


@pytest.fixture
def image():
    return np.full((200, 300, 3), 90, np.uint8)


def pose(scale=1.0):
    rng = np.random.default_rng(0)
    return np.array([150, 100]) + scale * rng.uniform(-60, 60, (15, 2))


def test_pose_has_its_colours_at_its_joints(image):
    keypoints = pose()
    before = image.copy()
    drawn = drawing.draw_pose(image, keypoints, height=60)
    np.testing.assert_array_equal(image, before)
    for joint in (0, 5, 13):
        x, y = keypoints[joint].round().astype(int)
        np.testing.assert_allclose(drawn[y, x], drawing.joint_color(POSETRACK15, joint), atol=40)
    assert len({drawing.joint_color(POSETRACK15, joint) for joint in (0, 5, 13)}) == 3


def test_weak_joints_fade_and_vanish(image):
    keypoints = pose()
    full, faint, none = (
        np.abs(drawing.draw_pose(image, keypoints, np.full(15, s)).astype(int) - image).sum() for s in (1.0, 0.2, 0.01)
    )
    assert full > faint > 0 == none


@pytest.mark.parametrize("shift", [(1e6, 0), (-400, -400), (150, 100)])
def test_poses_that_leave_the_image(image, shift):
    drawn = drawing.draw_pose(image, pose() + np.array(shift), np.ones(15))
    assert drawn.shape == image.shape
    keypoints = pose()
    keypoints[3] = np.nan
    assert (drawing.draw_pose(image, keypoints) != image).any()


def test_people_with_boxes(image):
    boxes = np.array([[20, 30, 60, 90], [150.5, -20, 80, 120]])
    people = np.stack([pose(0.3), pose(0.5)])
    drawn = drawing.draw_people(image, people, np.ones((2, 15)), boxes, np.array([3, 7]))
    color = np.array(drawing.track_color(3))
    assert (np.abs(drawn[60:110, 18:23].astype(int) - color).sum(axis=-1).min(axis=1) < 60).all()  # the left side
    assert drawing.track_color(3) != drawing.track_color(7) and drawing.track_color(-1) == (190, 190, 190)
    nobody = drawing.draw_people(image, np.zeros((0, 15, 2)), np.zeros((0, 15)), np.zeros((0, 4)), np.zeros(0, int))
    np.testing.assert_array_equal(nobody, image)


def test_heatmap_lies_on_stride_times_pixel():
    heatmap = np.zeros((24, 18, 2), np.float32)
    heatmap[10, 6, 1] = 1
    crop = np.zeros((96, 72, 3), np.uint8)
    glow = drawing.heatmap_overlay(crop, heatmap).sum(axis=-1)
    y, x = np.unravel_index(glow.argmax(), glow.shape)
    assert (x, y) == (24, 40)
    assert drawing.heatmap_overlay(crop, np.zeros((24, 18))).max() == 0


def test_flow_colours():
    flow = np.zeros((4, 5, 2), np.float32)
    flow[0, 0], flow[0, 1] = (5, 0), (-5, 0)
    color = drawing.flow_to_color(flow, limit=5)
    np.testing.assert_array_equal(color[3, 3], 255)  # nothing moves: white
    np.testing.assert_allclose(color[0, 0], [255, 0, 0], atol=2)
    np.testing.assert_allclose(color[0, 1], [0, 255, 255], atol=2)
    assert drawing.flow_to_color(np.zeros((3, 3, 2))).min() == 255


def test_panel_keeps_shapes_and_places():
    red = np.zeros((50, 100, 3), np.uint8)
    red[..., 0] = 255
    sheet = drawing.panel([[red, red], [red]], ["first", "second"], cell=(64, 64), gap=8)
    assert sheet.shape == (22 + 2 * 64 + 3 * 8, 2 * 72 + 8, 3)
    mask = (sheet[..., 0] > 200) & (sheet[..., 1] < 60)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert count == 4
    assert (stats[1:, cv2.CC_STAT_WIDTH] == 64).all() and (stats[1:, cv2.CC_STAT_HEIGHT] == 32).all()
    assert (sheet[:30] < 100).all(axis=-1).any()  # the captions
    assert drawing.panel([], None).shape == (8, 8, 3)

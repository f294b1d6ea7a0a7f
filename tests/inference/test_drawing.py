"""Pictures: what must show shows, where it must, and nothing is drawn into the arguments."""

import numpy as np
import pytest

from jmpose_jax.inference import drawing
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17


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


def test_boxes_and_ids_are_parts(image):
    arguments = (image, np.full((1, 15, 2), np.nan), np.ones((1, 15)), np.array([[20, 30, 60, 90]]), np.array([3]))
    drawn = {parts: drawing.draw_people(*arguments, parts=parts) != image for parts in ((), ("boxes",), ("ids",))}
    assert not drawn[()].any()
    assert drawn[("boxes",)][110:125, 20:80].any() and not drawn[("ids",)][60:].any()  # the lower edge
    assert drawn[("ids",)][:30, 50:60].any()  # a tab over the person's middle


@pytest.mark.parametrize("skeleton", [POSETRACK15, POSETRACK17, COCO17])
def test_the_head_is_joined_to_the_shoulders(image, skeleton):
    keypoints = np.full((skeleton.num_joints, 2), np.nan)
    upper = "nose" if skeleton is COCO17 else "head_bottom"
    for joint, place in ((upper, (150, 20)), ("left_shoulder", (190, 120)), ("right_shoulder", (110, 120))):
        keypoints[skeleton.index(joint)] = place
    drawn = drawing.draw_pose(image, keypoints, skeleton=skeleton, height=100)
    for y in (40, 70, 100):
        np.testing.assert_allclose(drawn[y, 150], drawing.SIDE_COLORS["middle"], atol=40)
    keypoints[skeleton.index("left_shoulder")] = np.nan
    drawn = drawing.draw_pose(image, keypoints, skeleton=skeleton, height=100)
    np.testing.assert_array_equal(drawn[40:100, 150], image[40:100, 150])

"""Crops, joints and flow under one affine: what holds for every box and every draw."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.clips.transforms import (
    Augmentation,
    crop_keypoints,
    example_affine,
    half_body_box,
    mirror_affine,
    mirror_flow,
    warp_flow,
)
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import apply_affine, box_affine, compose_affine, invert_affine, warp
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17

SIZE = (48, 64)
ALL = Augmentation(
    rotation=45, rotation_probability=1, scale=0.35, half_body_probability=0.5, half_body_min_joints=3,
    flip_probability=0.5,
)  # fmt: skip
BOXES = st.tuples(st.floats(-20, 60), st.floats(-20, 40), st.floats(5, 80), st.floats(5, 80)).map(np.asarray)
SEEDS = st.integers(0, 2**32 - 1)


def joints(seed, skeleton=POSETRACK15):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 90, (skeleton.num_joints, 2)), rng.random(skeleton.num_joints) < 0.8


def draw(box, seed, augmentation=ALL, skeleton=POSETRACK15):
    points, present = joints(seed, skeleton)
    rng = np.random.default_rng(seed)
    return example_affine(box, SIZE, points, present, skeleton, augmentation, rng)


@given(BOXES, SEEDS)
def test_points_return_by_the_inverse(box, seed):
    affine, _ = draw(box, seed)
    points = joints(seed)[0]
    np.testing.assert_allclose(apply_affine(invert_affine(affine), apply_affine(affine, points)), points, atol=1e-6)


@given(BOXES, SEEDS)
def test_affine_is_a_similarity_and_mirrors_when_it_says_so(box, seed):
    affine, flip = draw(box, seed)
    linear = affine[:, :2]
    gram = linear @ linear.T
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(2), atol=1e-9 * gram[0, 0])
    assert (np.linalg.det(linear) < 0) == flip


@given(BOXES, SEEDS)
def test_no_augmentation_is_the_plain_crop(box, seed):
    off = Augmentation(rotation_probability=0, scale=0, half_body_probability=0, flip_probability=0)
    for augmentation in (None, off):
        affine, flip = draw(box, seed, augmentation)
        np.testing.assert_allclose(affine, box_affine(box, SIZE), atol=1e-9)
        assert not flip


def test_same_seed_same_draw_and_bounds():
    box = np.asarray([10.0, 5, 30, 40])
    mild = Augmentation(rotation=20, rotation_probability=1, scale=0.2, half_body_probability=0, flip_probability=0)
    plain = np.linalg.norm(box_affine(box, SIZE)[0, :2])
    angles, magnifications = [], []
    for seed in range(200):
        affine, _ = draw(box, seed, mild)
        np.testing.assert_array_equal(affine, draw(box, seed, mild)[0])
        angles.append(np.rad2deg(np.arctan2(affine[0, 1], affine[0, 0])))
        magnifications.append(plain / np.linalg.norm(affine[0, :2]))
    assert max(np.abs(angles)) <= 20 + 1e-6 and np.std(angles) > 8
    assert min(magnifications) >= 0.8 - 1e-6 and max(magnifications) <= 1.2 + 1e-6 and np.std(magnifications) > 0.1
    flips = [draw(box, seed)[1] for seed in range(400)]
    assert 0.4 < np.mean(flips) < 0.6


@given(SEEDS)
def test_mirror_twice_is_the_identity(seed):
    mirror = mirror_affine(SIZE[0])
    np.testing.assert_array_equal(compose_affine(mirror, mirror), [[1, 0, 0], [0, 1, 0]])
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    np.testing.assert_array_equal(warp(image, mirror, SIZE), image[:, ::-1])
    flow = rng.normal(size=(4, 8, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(mirror_flow(mirror_flow(flow)), flow)


@pytest.mark.parametrize("skeleton", [POSETRACK15, POSETRACK17])
def test_mirrored_joints_change_sides(skeleton):
    points, present = joints(3, skeleton)
    affine = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    mirrored = compose_affine(mirror_affine(SIZE[0]), affine)
    permutation = skeleton.flip_permutation
    plain, plain_weights = crop_keypoints(points, present, affine, SIZE)
    flipped, flipped_weights = crop_keypoints(points, present, mirrored, SIZE, permutation)
    left, right = skeleton.index("left_wrist"), skeleton.index("right_wrist")
    assert permutation[left] == right
    np.testing.assert_allclose(flipped[left, 1], plain[right, 1])
    expected = np.where(present[permutation, None], [SIZE[0] - 1, 0] + plain[permutation] * [-1, 1], 0)
    np.testing.assert_allclose(flipped, expected, atol=1e-5)
    np.testing.assert_array_equal(flipped_weights, plain_weights[permutation])


def test_weights_are_zero_outside_and_where_not_annotated():
    points = np.asarray([[0, 0], [47, 63], [47.5, 10], [-0.1, 10], [10, 64], [10, 10]])
    _, weights = crop_keypoints(points, np.asarray([1, 1, 1, 1, 1, 0]), np.eye(2, 3), SIZE)
    assert weights.tolist() == [1, 1, 0, 0, 0, 0]


@settings(deadline=None, max_examples=30)
@given(BOXES, SEEDS)
def test_joints_follow_the_content_of_the_image(box, seed):
    # A linear ramp is reproduced exactly by bilinear sampling: its value tells where in the image a crop pixel lies.
    y, x = np.mgrid[:80, :100].astype(np.float32)
    ramp = np.stack([2 * x, 3 * y, x + y], axis=-1).astype(np.uint8)
    affine, _ = draw(box, seed)
    crop = warp(ramp, affine, SIZE)
    points = np.random.default_rng(seed).uniform([2, 2], [97, 77], (50, 2))
    placed = np.rint(apply_affine(affine, points)).astype(int)
    inside = np.all((placed >= 0) & (placed < SIZE), axis=1)
    for column, row in placed[inside]:
        back = apply_affine(invert_affine(affine), np.asarray([[column, row]]))[0]
        if np.all(back >= 1) and np.all(back <= [98, 78]):
            expected = [2 * back[0], 3 * back[1], back.sum()]
            np.testing.assert_allclose(crop[row, column], expected, atol=2)


def test_half_body():
    points = np.stack([np.arange(15.0), 100 - np.arange(15.0)], axis=1)
    upper = np.isin(np.arange(15), POSETRACK15.upper_body)
    np.testing.assert_allclose(half_body_box(points, np.ones(15), POSETRACK15, True), [6, 86, 8, 8])
    np.testing.assert_allclose(half_body_box(points, np.ones(15), POSETRACK15, False), [0, 95, 5, 5])
    # Where the wanted half has too few joints the other is taken.
    np.testing.assert_allclose(half_body_box(points, ~upper, POSETRACK15, True), [0, 95, 5, 5])
    assert half_body_box(points, np.zeros(15), POSETRACK15, True) is None
    for whole in ((), tuple(range(15))):
        assert half_body_box(points, np.ones(15), dataclasses.replace(POSETRACK15, upper_body=whole), True) is None


@settings(deadline=None, max_examples=30)
@given(BOXES, SEEDS, st.sampled_from([1, 2, 4]))
def test_flow_follows_the_affine(box, seed, stride):
    # An affine motion of the image, known everywhere: its flow in the crop is the difference of the mapped points.
    rng = np.random.default_rng(seed)
    motion = np.eye(2, 3) + rng.normal(size=(2, 3)) * [0.02, 0.02, 3]
    width, height = 128, 96
    y, x = np.mgrid[: height // 4, : width // 4] * 4.0
    pixels = np.stack([x, y], axis=-1).reshape(-1, 2)
    flow = (apply_affine(motion, pixels) - pixels).reshape(height // 4, width // 4, 2).astype(np.float32)
    affine, _ = draw(box, seed)
    cropped = warp_flow(flow, (width, height), affine, SIZE, stride)
    assert cropped.shape == (SIZE[1] // stride, SIZE[0] // stride, 2)
    row, column = np.mgrid[: SIZE[1] // stride, : SIZE[0] // stride] * stride + (stride - 1) / 2
    crop_pixels = np.stack([column, row], axis=-1).reshape(-1, 2)
    image_pixels = apply_affine(invert_affine(affine), crop_pixels)
    expected = apply_affine(affine, apply_affine(motion, image_pixels)) - crop_pixels
    inside = np.all((image_pixels > 2) & (image_pixels < [width - 6, height - 6]), axis=1)
    # OpenCV samples at multiples of 1/32 of a cell: 1/8 pixel here, times the gradient of the flow.
    np.testing.assert_allclose(cropped.reshape(-1, 2)[inside], expected[inside], atol=0.15)


@settings(deadline=None, max_examples=20)
@given(BOXES, SEEDS)
def test_flow_of_the_mirrored_crop_is_the_mirrored_flow(box, seed):
    flow = np.random.default_rng(seed).normal(size=(24, 32, 2)).astype(np.float32)
    affine = box_affine(box, SIZE)
    mirrored = compose_affine(mirror_affine(SIZE[0]), affine)
    plain = warp_flow(flow, (128, 96), affine, SIZE, 4)
    flipped = warp_flow(flow, (128, 96), mirrored, SIZE, 4)
    # Sampling positions are rounded to 1/32 of a cell, on opposite sides; random flow has steep gradients.
    np.testing.assert_allclose(flipped, mirror_flow(plain), atol=0.35 * np.linalg.norm(affine[0, :2]))


def test_unknown_augmentation():
    with pytest.raises(InputError, match="augment.rotate is not known; the augmentations are rotation,"):
        Augmentation.from_mapping({"rotate": 3})
    assert Augmentation.from_mapping({"rotation": 3}).rotation == 3

"""Crop geometry against the numbers of the official implementations."""

import json

import numpy as np
import pytest

from jmpose_jax.ops import geometry

SIZES = {"img": (288, 384), "hm": (72, 96)}


@pytest.fixture(scope="module")
def numbers(golden):
    return np.load(golden / "post_geometry.npz")


@pytest.fixture(scope="module")
def tolerance(golden):
    outputs = json.loads((golden / "post_geometry.json").read_text())["outputs"]
    return {name: value["tol_abs"] for name, value in outputs.items()}


def test_center_and_scale(numbers, tolerance):
    center, scale = geometry.box_to_center_scale(numbers["in_box"], 0.75)
    np.testing.assert_allclose(center, numbers["center"], atol=tolerance["center"], rtol=0)
    np.testing.assert_allclose(scale, numbers["scale"], atol=tolerance["scale"], rtol=0)


@pytest.mark.parametrize("size", ["img", "hm"])
@pytest.mark.parametrize("kind", geometry.AFFINES)
def test_affine_forward_and_inverse(numbers, tolerance, kind, size):
    center, scale = geometry.box_to_center_scale(numbers["in_box"], 0.75)
    scale = scale * numbers["in_extra_scale"][:, None]
    forward = np.stack(
        [geometry.crop_affine(c, s, SIZES[size], r, kind) for c, s, r in zip(center, scale, numbers["in_rot"])]
    )
    for direction, affine in (("fwd", forward), ("inv", geometry.invert_affine(forward))):
        name = f"{kind}_{direction}_{size}"
        expected = numbers[f"trans_{name}"]
        np.testing.assert_allclose(affine, expected, atol=tolerance[f"trans_{name}"], rtol=0)
        points = geometry.apply_affine(affine, numbers["in_pts"])
        np.testing.assert_allclose(points, numbers[f"pts_{name}"], atol=tolerance[f"pts_{name}"], rtol=0)


def test_warp(numbers):
    for affine, expected in zip(numbers["crop_trans"], numbers["crop_out"]):
        difference = np.abs(geometry.warp(numbers["in_crop_image"], affine, (72, 96)).astype(int) - expected)
        # The reference was made with OpenCV 5; OpenCV 4 interpolates in steps of 1/32 pixel.
        assert difference.mean() < 0.2
        assert difference.max() <= 4


def test_round_trip_and_composition():
    rng = np.random.default_rng(0)
    affine = geometry.crop_affine(np.array([310.0, 200.0]), np.array([0.9, 1.2]), (96, 128), 33.0)
    points = rng.uniform(0, 500, (7, 2))
    back = geometry.apply_affine(geometry.invert_affine(affine), geometry.apply_affine(affine, points))
    np.testing.assert_allclose(back, points, atol=1e-9)
    identity = geometry.compose_affine(geometry.invert_affine(affine), affine)
    np.testing.assert_allclose(identity, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_box_affine_frames_the_box():
    affine = geometry.box_affine(np.array([100.0, 50.0, 75.0, 100.0]), (288, 384))
    corners = geometry.apply_affine(affine, np.array([[137.5, 100.0], [100.0, 50.0], [175.0, 150.0]]))
    np.testing.assert_allclose(corners, [[144, 192], [28.8, 38.4], [259.2, 345.6]], atol=1e-9)


def test_faults():
    with pytest.raises(ValueError, match="affine kind 'other'"):
        geometry.crop_affine(np.zeros(2), np.ones(2), (8, 8), kind="other")
    with pytest.raises(ValueError, match="cannot be cropped"):
        geometry.crop_affine(np.zeros(2), np.zeros(2), (8, 8))

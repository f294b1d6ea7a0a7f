"""Crops of a window: one affine for all frames, back to the image by the returned transform."""

import numpy as np

from jmpose_jax.inference.crops import clip_crops
from jmpose_jax.ops.geometry import apply_affine


def test_content_and_way_back():
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[90:93, 150:153] = 255
    other = frame[:, ::-1].copy()
    crops, transform = clip_crops((frame, other, frame), np.array([130, 60, 45, 60.0]), (128, 96))
    assert crops.shape == (3, 128, 96, 3) and crops.dtype == np.uint8 and transform.dtype == np.float32
    np.testing.assert_array_equal(crops[0], crops[2])
    rows, columns = np.nonzero(crops[0].sum(axis=-1) > 300)
    centre = np.array([[columns.mean(), rows.mean()]])
    np.testing.assert_allclose(apply_affine(transform, centre), [[151, 91]], atol=0.3)
    np.testing.assert_allclose(apply_affine(transform, np.array([[48.0, 64.0]])), [[152.5, 90]], atol=1e-4)


def test_outside_the_image_is_black():
    frame = np.full((50, 50, 3), 200, np.uint8)
    crops, _ = clip_crops((frame,), np.array([-30, -30, 40, 40.0]), (64, 64))
    assert crops[0, 0, 0].sum() == 0 and crops[0, -1, -1].min() == 200

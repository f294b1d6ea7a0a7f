"""Flow pairs and DIS flow on images whose motion is known."""

import cv2
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops import optical_flow


def textured(height=128, width=96, seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def shifted(image, dx, dy):
    return np.roll(image, (dy, dx), axis=(0, 1))


def test_pairs():
    assert optical_flow.flow_pair_indices(2) == ((0, 1), (1, 2), (2, 3), (3, 4))
    assert optical_flow.flow_pair_indices(2, "key_to_support") == ((2, 0), (2, 1), (2, 3), (2, 4))
    assert optical_flow.flow_pair_indices(1, "support_to_key") == ((0, 1), (2, 1))
    with pytest.raises(InputError, match="consecutive"):
        optical_flow.flow_pair_indices(2, "all")


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_known_translation(stride):
    image = textured()
    crops = np.stack([image, shifted(image, 3, -2), shifted(image, 6, -4)])
    flow = optical_flow.dis_flow(crops, optical_flow.flow_pair_indices(1), stride)
    assert flow.shape == (2, 128 // stride, 96 // stride, 2) and flow.dtype == np.float32
    border = 16 // stride
    inner = flow[:, border:-border, border:-border]
    np.testing.assert_allclose(np.median(inner, axis=(1, 2)), [[3, -2], [3, -2]], atol=0.15)
    back = optical_flow.dis_flow(crops, ((1, 0),), stride)[0, border:-border, border:-border]
    np.testing.assert_allclose(np.median(back, axis=(0, 1)), [-3, 2], atol=0.15)


def test_repeated_frame_has_no_flow():
    image = textured()
    flow = optical_flow.dis_flow(np.stack([image, image, shifted(image, 2, 0)]), ((0, 1), (1, 2)))
    assert not flow[0].any()
    assert flow[1].any()


def test_small_crops_work():
    image = textured(32, 32)
    flow = optical_flow.dis_flow(np.stack([image, shifted(image, 1, 0)]), ((0, 1),))
    assert flow.shape == (1, 32, 32, 2) and np.isfinite(flow).all()


def test_faults():
    with pytest.raises(ValueError, match="uint8"):
        optical_flow.dis_flow(np.zeros((2, 8, 8, 3), np.float32), ((0, 1),))
    with pytest.raises(ValueError, match="stride 3"):
        optical_flow.dis_flow(np.zeros((2, 32, 32, 3), np.uint8), ((0, 1),), 3)

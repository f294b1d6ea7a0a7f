"""Many pictures as one: shapes kept, captions there."""

import cv2
import numpy as np

from jmpose_jax.inference.panel import panel


def test_panel_keeps_shapes_and_places():
    red = np.zeros((50, 100, 3), np.uint8)
    red[..., 0] = 255
    sheet = panel([[red, red], [red]], ["first", "second"], cell=(64, 64), gap=8)
    assert sheet.shape == (22 + 2 * 64 + 3 * 8, 2 * 72 + 8, 3)
    mask = (sheet[..., 0] > 200) & (sheet[..., 1] < 60)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert count == 4
    assert (stats[1:, cv2.CC_STAT_WIDTH] == 64).all() and (stats[1:, cv2.CC_STAT_HEIGHT] == 32).all()
    assert (sheet[:30] < 100).all(axis=-1).any()  # the captions
    assert panel([], None).shape == (8, 8, 3)

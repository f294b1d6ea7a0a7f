"""Decoded pictures of another size; turns are tested with whole files in `test_reader`."""

import numpy as np

from jmpose_jax.inference.video.picture import fitted


def test_a_picture_keeps_its_shape_and_has_black_beside_it():
    white = np.full((10, 20, 3), 255, np.uint8)
    inside = fitted(white, (40, 40))
    assert inside.shape == (40, 40, 3) and inside.dtype == np.uint8
    assert (inside[10:30] == 255).all() and not inside[:10].any() and not inside[30:].any()
    assert fitted(white, (10, 40))[17:22].min() == 255 and not fitted(white, (10, 40))[:17].any()

"""What the overlay shows by choice."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference import overlay
from jmpose_jax.inference.drawing import track_color
from jmpose_jax.inference.overlay import Overlay
from jmpose_jax.skeletons import COCO17

NOBODY = (np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros((0, 4)), np.zeros(0, int))


def person(x, track=3):
    return np.full((1, 17, 2), np.nan), np.ones((1, 17)), np.array([[x - 10.0, 40, 20, 20]]), np.array([track])


def test_trails_follow_and_vanish(monkeypatch):
    monkeypatch.setattr(overlay, "TRAIL_FRAMES", 5)
    image = np.zeros((100, 200, 3), np.uint8)
    before = image.copy()
    drawing = Overlay(COCO17, ("trails",))
    for x in range(20, 160, 10):
        drawn = drawing.draw(image, *person(x))
    np.testing.assert_allclose(drawn[50, 130], track_color(3), atol=60)
    assert not drawn[:, :100].any()  # longer ago than the trail is long
    for _ in range(5):
        drawn = drawing.draw(image, *NOBODY)
    assert not drawn.any()
    np.testing.assert_array_equal(image, before)


def test_poses_alone():
    image = np.zeros((100, 200, 3), np.uint8)
    assert not Overlay(COCO17, ()).draw(image, *person(50)).any()
    assert Overlay(COCO17).draw(image, *person(50)).any()


def test_parts():
    assert overlay.check_parts(["ids", "trails", "ids"]) == ("ids", "trails")
    assert overlay.check_parts(["none"]) == overlay.check_parts([]) == ()
    for parts in (["box"], ["none", "ids"]):
        with pytest.raises(InputError, match="--draw="):
            overlay.check_parts(parts)

"""The coordinates of networks, and the way back."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.coordinates import Coordinates, body_size

POSES = np.random.default_rng(0).normal(size=(7, 5, 3))


def test_roots_are_taken_off_each_frame():
    origin, unit = Coordinates("root", (1, 2)).of(POSES)
    seen = (POSES - origin) / unit
    np.testing.assert_allclose(seen[:, [1, 2]].mean(axis=1), 0, atol=1e-12)
    assert unit.tolist() == [1, 1, 1]


def test_person_is_free_of_place_and_size():
    person = Coordinates("person")
    origin, unit = person.of(POSES)
    moved = 4 * POSES + np.array([5.0, -3.0, 100.0])
    other, larger = person.of(moved)
    np.testing.assert_allclose((moved - other) / larger, (POSES - origin) / unit, atol=1e-9)
    assert np.ptp(origin, axis=0).max() == 0  # motion over the window stays


def test_image_is_shares_of_its_size():
    image = Coordinates("image", size=(320, 240))
    assert image.of(POSES[..., :2])[1].tolist() == [320, 240]
    assert image.of(POSES[..., :2], (640, 480))[1].tolist() == [640, 480]
    with pytest.raises(InputError, match="size"):
        Coordinates("image").of(POSES[..., :2])


def test_plain_leaves_all():
    origin, unit = Coordinates("plain").of(POSES)
    assert not origin.any() and (unit == 1).all()


def test_size_of_the_known_joints():
    poses = np.zeros((3, 3, 2))
    poses[:, 1] = (3, 4)
    poses[:, 2] = 1e6
    known = np.array([[True, True, False]] * 3)
    assert body_size(poses, known) == 5
    assert body_size(poses, np.zeros((3, 3), bool)) == 1


@pytest.mark.parametrize(
    ("made", "dimensions", "culprit"),
    [
        (Coordinates("world"), 3, "coordinates='world'"),
        (Coordinates("image", size=(1, 1)), 3, "coordinates='image'"),
        (Coordinates("root"), 3, "roots=()"),
        (Coordinates("root", (5,)), 3, "roots=(5,)"),
        (Coordinates("image", size=(0, 3)), 2, "size="),
    ],
)
def test_refused(made, dimensions, culprit):
    with pytest.raises(InputError) as fault:
        made.check(5, dimensions)
    assert culprit in str(fault.value)

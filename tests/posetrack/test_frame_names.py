"""File names of frames: their order in time, and the same frame under another folder's name."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.frame_names import places_by_name, strangers, time_order


def test_order_of_time():
    assert time_order(["v/000010.jpg", "v/000002.jpg", "v/9.jpg"], "f") == [1, 2, 0]
    assert time_order(["v/b.jpg", "v/a.jpg"], "f") == [0, 1]  # no numbers: as they are listed
    assert time_order(["b/2.jpg", "a/1.jpg", "b/1.jpg"], "f") == [2, 0, 1]  # folder by folder
    with pytest.raises(InputError, match="f: v/1.jpg and v/01.jpg are both frame 1"):
        time_order(["v/1.jpg", "v/01.jpg"], "f")


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["a/2.jpg", "a/1.jpg"], ["a/1.jpg", "a/2.jpg"], [1, 0]),
        (["x/val/a/1.jpg", "x/val/b/1.jpg"], ["b/1.png", "a/1.png"], [1, 0]),
        (["2.jpg", "1.jpg"], ["images/v/1.jpg", "images/v/2.jpg"], [1, 0]),
        (["frame_000002.jpg", "frame_000001.jpg"], ["v/1.jpg", "v/2.jpg"], [1, 0]),
        (["C:\\v\\2.jpg", "C:\\v\\1.jpg"], ["v/1.jpg", "v/2.jpg"], [1, 0]),
        (["1.jpg", "2.jpg"], ["0.jpg", "1.jpg"], None),
        (["1.jpg", "1.jpg"], ["1.jpg", "2.jpg"], None),
        (["1.jpg"], ["1.jpg", "2.jpg"], None),
    ],
)
def test_the_same_frames_are_found(names, wanted, expected):
    found = places_by_name(names, wanted)
    assert found is None if expected is None else found.tolist() == expected


def test_strangers():
    assert strangers(["a/1.jpg", "a/2.jpg"], ["b/0002.png", "b/3.png"]) == ["a/1.jpg"]

"""What names tell: the ending is no number, PoseTrack's videos by their six digits."""

import pytest

from jmpose_jax.boxes.naming import posetrack_video, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [("7.jpg", "7"), ("a.7.jpeg", "a.7"), ("a.0007", "a.0007"), ("1.5s", "1.5s"), ("base", "base"), ("v.mp4", "v")],
)
def test_an_ending_starts_with_a_letter(name, expected):
    assert stem(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("012834_mpii_test", "012834"),
        ("000342_mpii", "000342"),
        ("012834_bonn_relpath_5sec_trainsub.mp4", "012834"),
        ("012834", None),
        ("clip", None),
    ],
)
def test_posetracks_videos(name, expected):
    assert posetrack_video(name) == expected

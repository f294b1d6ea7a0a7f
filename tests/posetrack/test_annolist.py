"""The PoseTrack17 form: which points count, and what a head box must have."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.annolist import read_annolist


def content17():
    points = [{"id": [j], "x": [j + 1], "y": [2 * j + 2], "score": [j / 100]} for j in range(15)]
    rect = {"x1": [5], "y1": [6], "x2": [8], "y2": [10], "track_id": [3], "annopoints": [{"point": points}]}
    return {"annolist": [{"image": [{"name": "images/val/1/1.jpg"}], "annorect": [rect]}]}


def read(content, predictions=False):
    return read_annolist("f.json", json.loads(json.dumps(content)), predictions)[1][0]


@pytest.mark.parametrize("predictions", [False, True])
def test_points_of_other_joints_are_refused_and_the_first_of_a_joint_counts(predictions):
    content = content17()
    points = content["annolist"][0]["annorect"][0]["annopoints"][0]["point"]
    expected = read(content).keypoints
    points.append({"id": [0], "x": [99], "y": [99]})
    np.testing.assert_array_equal(read(content, predictions).keypoints, expected)
    points.append({"id": [16], "x": [1], "y": [1]})
    with pytest.raises(InputError, match=r"annorect\[0\]: point\[16\]: joint id 16"):
        read(content, predictions)


@pytest.mark.parametrize("key", ["x1", "y2"])
def test_a_head_box_has_four_corners(key):
    content = content17()
    del content["annolist"][0]["annorect"][0][key]
    with pytest.raises(InputError, match=f"'{key}' is missing"):
        read(content)

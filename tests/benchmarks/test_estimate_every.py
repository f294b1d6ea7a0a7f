"""How far poses between estimated frames are from those that were estimated there."""

import dataclasses

import numpy as np
import pytest

from benchmarks.estimate_every import compare
from tests.inference.test_between import people


def test_people_are_compared_with_the_nearest_of_the_same_frame():
    true = [people(0, {0: 0.0, 1: 200.0}), people(1, {0: 10.0, 1: 210.0})]
    for frame in true:
        frame.keypoints[:, 1] += 30.0  # the size is that of a diagonal
    found = [true[0], dataclasses.replace(true[1], keypoints=true[1].keypoints[::-1] + 3.0, estimated=False)]
    same = compare(found, true)
    assert (same["persons"], same["met"]) == (2, 2)
    assert same["pixels"] == pytest.approx(3 * 2**0.5, rel=1e-5) and same["percent"] == pytest.approx(10, rel=1e-5)
    far = [true[0], dataclasses.replace(found[1], keypoints=found[1].keypoints + np.float32(900))]
    assert compare(far, true) == {"persons": 2, "met": 0, "pixels": None, "percent": None}

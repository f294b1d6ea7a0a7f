"""People that are looked for on every n-th frame."""

import numpy as np
import pytest

from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.sparse import detected, interpolated
from jmpose_jax.inference.windows import windows

IMAGE = np.zeros((4, 4, 3), np.uint8)


def people(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4])


def walking(looked):
    """One who walks four pixels a frame, and notes the frames that are looked at."""

    def detector(index, image):
        looked.append(index)
        return people((100 + 4 * index, 50, 20, 40 + index, 0.9))

    return detector


@pytest.mark.parametrize(("count", "every", "expected"), [
    (10, 1, list(range(10))), (10, 3, [0, 3, 6, 9]), (9, 3, [0, 3, 6, 8]), (1, 5, [0]), (2, 5, [0, 1]), (0, 2, [])
])  # fmt: skip
def test_frames_that_are_looked_at_and_straight_lines_between(count, every, expected):
    looked = []
    found = list(detected(windows([IMAGE] * count, 1), walking(looked), every))
    assert looked == expected and [window.index for window, _ in found] == list(range(count))
    for window, there in found:
        np.testing.assert_allclose(there.boxes, [[100 + 4 * window.index, 50, 20, 40 + window.index]], atol=1e-4)


def test_a_stop_ends_it():
    asked = iter([False] * 4 + [True] * 9)
    assert len(list(detected(windows([IMAGE] * 9, 0), walking([]), 3, lambda: next(asked)))) == 4


def test_who_comes_and_who_goes():
    stays, comes, goes = (100, 50, 20, 40, 0.8), (300, 50, 20, 40, 0.5), (10, 50, 20, 40, 0.4)
    first, second = people(goes, stays), people((104, 50, 20, 40, 0.6), comes)
    early, late = interpolated(first, second, 0.25), interpolated(first, second, 0.75)
    np.testing.assert_allclose(early.boxes, [[101, 50, 20, 40], [10, 50, 20, 40]])
    np.testing.assert_allclose(early.scores, [0.75, 0.4])
    np.testing.assert_allclose(late.boxes, [[103, 50, 20, 40], [300, 50, 20, 40]])
    assert len(interpolated(first, people(), 0.4)) == 2 and len(interpolated(people(), people(), 0.5)) == 0

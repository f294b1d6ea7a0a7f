"""Rows of a table and their frames."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.row_labels import read_labels


@pytest.mark.parametrize(
    "labels, numbers, new",
    [
        ([(3,), (1,)], [3, 1], (7,)),
        ([("3",), ("1",)], [3, 1], ("7",)),
        ([("003",), ("001",)], [3, 1], ("007",)),
        ([(0.0,), (5.0,)], [0, 5], (7.0,)),
        ([("0.0",), ("5.0",)], [0, 5], ("7.0",)),
        ([("a/img0000.png",), ("a/img0050.png",)], [0, 50], ("a/img0007.png",)),
        ([("d", "v", "img9.jp2"), ("d", "v", "img10.jp2")], [9, 10], ("d", "v", "img7.jp2")),
        ([("v2_f1_left",), ("v2_f3_left",)], [1, 3], ("v2_f7_left",)),
    ],
)
def test_numbers_of_frames(labels, numbers, new):
    found = read_labels("f", labels)
    assert found.numbers.tolist() == numbers and found.notes == () and found.of(7) == new


@pytest.mark.parametrize("labels", ([("a",), ("b",)], [(0.5,), (1.0,)], [("x1",), ("y2",)], [(float("nan"),), (1.0,)]))
def test_others_are_consecutive_and_said_to_be(labels):
    found = read_labels("f", labels)
    assert found.numbers.tolist() == [0, 1] and "2 rows are taken for consecutive" in found.notes[0]


@pytest.mark.parametrize(
    "labels, culprit",
    [
        ([(0.0,), (0,)], "two rows for one frame"),
        ([("img01.png",), ("img1.png",)], "two rows for one frame"),
        ([("a",), ("a",)], "two rows of one label"),
        ([("-1",), ("2",)], "expected frames from 0"),
        ([("1" * 31,), ("2",)], "expected frames from 0"),
        ([("d", "v", "img1.png"), ("d", "w", "img2.png")], "2 folders"),
        ([("v/img1.png",), ("w/img2.png",)], "2 folders"),
    ],
)
def test_faults(labels, culprit):
    with pytest.raises(InputError, match=f"f: .*{culprit}"):
        read_labels("f", labels)

"""Parts of a source."""

from fractions import Fraction

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources.cut import Cut, parse_bound
from jmpose_jax.inference.video.reader import Frame


class Ten:
    """Ten frames, five a second."""

    name, rate, timed = "ten", Fraction(5), True
    expected_frames = announced_frames = 10

    def frames(self):
        for n in range(10):
            yield Frame(np.full((2, 2, 3), n, np.uint8), Fraction(n, 5))


class Unknown(Ten):
    expected_frames = announced_frames = 0


def bound(text):
    return None if text is None else parse_bound(text, "--start")


@pytest.mark.parametrize(
    ("start", "end", "stride", "numbers"),
    [
        (None, None, 3, [0, 3, 6, 9]),
        ("4", None, 1, [4, 5, 6, 7, 8, 9]),
        (None, "3", 1, [0, 1, 2]),
        ("1s", "1.5s", 1, [5, 6, 7]),
        ("2", "1s", 2, [2, 4]),
        ("9", "40", 1, [9]),
    ],
)
@pytest.mark.parametrize("source", [Ten, Unknown])
def test_frames_keep_their_numbers_and_times(source, start, end, stride, numbers):
    part = Cut(source(), bound(start), bound(end), stride)
    frames = list(part.frames())
    assert [frame.number for frame in frames] == numbers
    assert [int(frame.image[0, 0, 0]) for frame in frames] == numbers
    assert [frame.time for frame in frames] == [Fraction(n, 5) for n in numbers]
    assert part.expected_frames == (len(numbers) if source is Ten else 0)
    assert part.rate == Fraction(5, stride) and part.name == "ten"


@pytest.mark.parametrize("text", ["-1", "1.5", "s", "1 m", "", "0x2"])
def test_bounds_that_are_none(text):
    with pytest.raises(InputError, match="--end"):
        parse_bound(text, "--end")


@pytest.mark.parametrize("source", [Ten, Unknown])
@pytest.mark.parametrize(("start", "end"), [("10", None), ("3s", None), ("4", "4"), ("4", "2"), (None, "0")])
def test_an_empty_part_is_refused(source, start, end):
    with pytest.raises(InputError, match=r"--(start|end)="):
        list(Cut(source(), bound(start), bound(end)).frames())


@pytest.mark.parametrize(("start", "end"), [("1s", "3"), ("6", "1s")])
def test_bounds_of_two_kinds_that_leave_nothing_are_both_named(start, end):
    with pytest.raises(InputError, match="--start=.*--end=.*no frame between"):
        list(Cut(Ten(), bound(start), bound(end)).frames())

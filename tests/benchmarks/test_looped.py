"""A source read again and again: its times and numbers go on."""

from fractions import Fraction

import numpy as np

from benchmarks.looped import Looped
from jmpose_jax.inference.video.reader import Frame

IMAGE = np.zeros((2, 3, 3), np.uint8)


class Three:
    rate, size, name = Fraction(10), (3, 2), "three"

    def frames(self):
        for i in range(3):
            yield Frame(IMAGE, Fraction(i, 10))


def test_numbers_and_times_go_on():
    source = Looped(Three(), 7)
    found = list(source.frames())
    assert [frame.number for frame in found] == list(range(7))
    assert [frame.time for frame in found] == [Fraction(i, 10) for i in range(7)]
    assert source.size == (3, 2) and source.announced_frames == source.expected_frames == 7

"""Windows over a stream: which frames, in which order, and how many are held."""

import weakref

import numpy as np
import pytest

from jmpose_jax.inference.windows import window_offsets, windows


def numbered(count):
    for i in range(count):
        yield np.full((2, 2), i)


@pytest.mark.parametrize(
    "before,after,expected",
    [
        (9, 9, (-2, -1, 0, 1, 2)),
        (0, 9, (0, 0, 0, 1, 2)),
        (1, 9, (-1, 0, 0, 1, 2)),
        (9, 1, (-2, -1, 0, 1, 1)),
        (9, 0, (-2, -1, 0, 0, 0)),
        (0, 0, (0, 0, 0, 0, 0)),
    ],
)
def test_offsets_at_the_ends(before, after, expected):
    assert window_offsets(2, before, after) == expected


@pytest.mark.parametrize("delta", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 9])
def test_every_frame_once_with_its_neighbours(delta, count):
    found = list(windows(numbered(count), delta))
    assert [window.index for window in found] == list(range(count))
    for window in found:
        assert window.offsets == window_offsets(delta, window.index, count - 1 - window.index)
        assert [int(frame[0, 0]) for frame in window.frames] == [window.index + o for o in window.offsets]
        assert window.key_frame is window.frames[delta]


def test_memory_is_bounded_by_the_window():
    class Frame(np.ndarray):
        pass

    references = []

    def stream():
        for i in range(60):
            frame = np.full((2, 2), i).view(Frame)
            references.append(weakref.ref(frame))
            yield frame

    peak = 0
    for window in windows(stream(), 2):
        del window
        peak = max(peak, sum(reference() is not None for reference in references))
    assert 5 <= peak <= 6  # the window, and the frame that the stream's own variable holds
    assert len(references) == 60

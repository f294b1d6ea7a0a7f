"""Frames that are estimated, and those between them."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference import between
from jmpose_jax.inference.between import Between, straight
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.windows import windows


def people(index, places, score=0.9):
    """Persons by identity, whose two joints lie at x."""
    x = np.array(list(places.values()), np.float32)
    count = len(x)
    return FramePoses(
        index,
        np.full((2, 2, 3), index, np.uint8),
        np.stack([x, x, x + 1, x + 2], -1),
        np.broadcast_to(x[:, None, None], (count, 2, 2)).copy(),
        np.full((count, 2), score, np.float32),
        np.array(list(places), np.int64),
        np.full(count, score, np.float32),
        np.full(count, score),
    )


@pytest.mark.parametrize(("count", "every", "lost", "expected"), [
    (9, 4, (), [0, 4, 8]), (8, 4, (), [0, 4, 7]), (3, 1, (1,), [0, 1, 2]), (1, 5, (), [0]), (0, 5, (), []),
    (10, 4, (4, 9), [0, 5, 8]), (5, 4, (0, 1), [2, 4]), (4, 2, (0, 1, 2, 3), []), (7, 3, (6,), [0, 3, 5]),
])  # fmt: skip
def test_every_frame_comes_back_in_order(count, every, lost, expected):
    chooser, seen = Between(every, lambda index: index in lost), []

    def estimated():
        for window in chooser.chosen(windows((np.full((2, 2, 3), i, np.uint8) for i in range(count)), 1)):
            seen.append(window.index)
            yield people(window.index, {7: 10.0 * window.index})

    found = list(chooser.filled(estimated()))
    assert seen == expected and [frame.index for frame in found] == (list(range(count)) if expected else [])
    for frame in found:
        assert frame.estimated == (frame.index in expected) and (frame.image == frame.index).all()
        inside = expected[0] <= frame.index <= expected[-1]
        np.testing.assert_allclose(frame.keypoints, np.full((int(inside), 2, 2), 10.0 * frame.index), rtol=1e-6)


def test_a_stop_leaves_the_frames_behind_the_last_estimated_one_out(monkeypatch):
    chooser = Between(4)
    images = (np.zeros((2, 2, 3), np.uint8) for _ in range(11))
    some = (people(window.index, {}) for window in chooser.chosen(windows(images, 0)) if window.index < 8)
    first = next(frames := chooser.filled(some))
    monkeypatch.setattr(between, "HELD_BYTES", 40)
    assert first.index == 0 and not chooser.full
    assert next(frames).index == 1 and not chooser.full  # two frames of 12 bytes are held
    monkeypatch.setattr(between, "HELD_BYTES", 20)
    assert chooser.full
    asked = iter([False] * 5 + [True])  # frames 1 to 3, 5 and 6
    seen = [window.index for window in Between(4, stop=lambda: next(asked)).chosen(windows([first.image] * 11, 0))]
    assert seen == [0, 4]
    stopped = Between(4)
    few = stopped.chosen(windows((np.zeros((2, 2, 3), np.uint8) for _ in range(11)), 0))
    taken = [people(next(few).index, {}) for _ in range(2)]
    assert [frame.index for frame in stopped.filled(taken)] == [0, 1, 2, 3, 4]


def test_who_is_in_one_of_both_frames_alone_is_not_between():
    first, second = people(10, {3: 0.0, 8: 50.0, 1: 5.0}), people(14, {1: 9.0, 2: 70.0, 3: 8.0}, score=0.4)
    found = straight(first, second, 11, first.image)
    assert found.track_ids.tolist() == [3, 1] and not found.estimated and found.index == 11
    np.testing.assert_allclose(found.keypoints[:, 0, 0], [2, 6])
    np.testing.assert_allclose(found.boxes[0], [2, 2, 3, 4])
    assert (found.scores == np.float32(0.4)).all() and (found.track_scores == 0.4).all()
    assert found.keypoints.dtype == np.float32 and found.boxes.dtype == np.float32
    for every in (0, 61):
        with pytest.raises(InputError, match="estimate_every"):
            Between(every)

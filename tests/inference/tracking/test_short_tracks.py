"""Short tracks get no place; frames come out in order, and soon."""

import dataclasses

import numpy as np
import pytest

from jmpose_jax.inference.tracking.short_tracks import lasting_people
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions


@dataclasses.dataclass
class Frame:
    number: int
    track_ids: np.ndarray

    def select(self, rows, track_ids):
        assert rows.sum() == len(track_ids)
        return Frame(self.number, track_ids)


def tracked(shown, tracker, read=None):
    """Frames of people who are each at one place, `shown` by frame."""
    for number, places in enumerate(shown):
        if read is not None:
            read.append(number)
        boxes = np.array([[100 * place, 0, 40, 80] for place in places], float).reshape(-1, 4)
        poses, scores = np.repeat(boxes[:, None, :2], 15, axis=1), np.ones((len(boxes), 15))
        ids, _ = tracker.update(boxes, np.ones(len(boxes)), poses, scores)
        yield Frame(number, ids)


def found(shown, **options):
    tracker = Tracker(TrackingOptions(**options))
    frames = list(lasting_people(tracked(shown, tracker), tracker))
    assert [frame.number for frame in frames] == list(range(len(shown)))
    return [frame.track_ids.tolist() for frame in frames]


def test_a_short_track_has_no_place_and_leaves_no_gap():
    shown = [[0]] * 4 + [[0, 1]] * 3 + [[0]] * 5 + [[0, 2]] * 6
    assert found(shown, min_track_length=4) == [[0]] * 12 + [[0, 1]] * 6
    assert found(shown, min_track_length=3) == [[0]] * 4 + [[0, 1]] * 3 + [[0]] * 5 + [[0, 2]] * 6


def test_length_is_from_first_to_last_person():
    shown = [[0], [], [0], [], [0]] + [[]] * 9
    assert found(shown, min_track_length=5)[:5] == [[0], [], [0], [], [0]]
    assert found(shown, min_track_length=6)[:5] == [[], [], [], [], []]


def test_a_track_at_the_end_is_short_too():
    assert found([[0]] * 8 + [[0, 1]] * 2, min_track_length=3) == [[0]] * 10


@pytest.mark.parametrize("frames", [1, 3])
def test_fewer_frames_than_a_track_needs(frames):
    assert found([[0]] * frames, min_track_length=5) == [[0]] * frames


def test_nobody_waits_longer_than_is_said():
    tracker, read = Tracker(TrackingOptions(min_track_length=4, patience=2)), []
    shown = ([[0, 1]] * 3 + [[0]] * 4) * 10
    for frame in lasting_people(tracked(shown, tracker, read), tracker):
        assert read[-1] - frame.number <= 4 + 2


def test_without_a_least_length_nobody_waits():
    tracker, read = Tracker(), []
    for frame in lasting_people(tracked([[0, 1]] * 6, tracker, read), tracker):
        assert read[-1] == frame.number


def test_given_identities_are_kept():
    tracker = Tracker(TrackingOptions(min_track_length=5))

    def frames():
        for number, ids in enumerate([[7, 3], [], [3]]):
            tracker.accept(np.array(ids, np.int64))
            yield Frame(number, np.array(ids, np.int64))

    assert [frame.track_ids.tolist() for frame in lasting_people(frames(), tracker)] == [[7, 3], [], [3]]

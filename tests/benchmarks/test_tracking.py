"""The benchmark of tracking at its smallest: its data, its trackers, its table."""

import numpy as np
import pytest

from benchmarks.tracked_people import imagined, keep, truth, videos
from benchmarks.tracking import TRACKERS, measure, score, table


@pytest.fixture(scope="module")
def video():
    return next(videos(1, 12, 0))[1]


def test_truth_tracked_perfectly(video):
    class Perfect:
        def __init__(self, true):
            self.track_ids, self.seen = true.ids + 7, type("Seen", (), {"boxes": true.boxes})

    truths = truth(video)
    counts, _ = score(truths, [Perfect(true) for true in truths])
    assert counts.objects > 12 and counts.mota() == counts.idf1() == 100


def test_people_are_seen_as_a_detector_sees_them(video):
    frames = imagined(video, np.random.default_rng(0))
    again = imagined(video, np.random.default_rng(0))
    assert len(frames) == 12
    for seen, same in zip(frames, again):
        np.testing.assert_array_equal(seen.boxes, same.boxes)
        assert seen.keypoints.shape == (len(seen.boxes), 15, 2) and seen.scores.shape == (len(seen.boxes), 15)
        assert ((seen.box_scores > 0) & (seen.box_scores < 1)).all()
    for track in TRACKERS.values():
        for found in track([keep(seen, [0]) for seen in frames if len(seen.boxes)]):
            assert len(found.track_ids) == len(found.seen.boxes) == len(found.track_scores) <= 1


def test_the_figures_and_their_table():
    result = measure(1, 12, 0, movenet=False)
    assert set(result["rows"]) == set(TRACKERS)
    for row in result["rows"].values():
        assert row["mota"] <= 100 and 0 <= row["idf1"] <= 100 and row["identified"] <= row["objects"]
    text = table([result])
    assert text.count("| imagined, 1 × 12 frames |") == len(TRACKERS)
    result["rows"]["present"]["motmetrics"] = None
    assert "not installed" in table([result])

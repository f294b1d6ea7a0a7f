"""Tracks: parts that know nothing of each other, frames that are added, and reports."""

import numpy as np
import pytest

from jmpose_jax.pose_files.records import ADDED, Track
from jmpose_jax.refinement.filters import Gaussian, OneEuro
from jmpose_jax.refinement.sequence import Options
from jmpose_jax.refinement.tracks import refine_track, refine_tracks, total


def track(frames, seed=0, joints=3, name="a"):
    rng = np.random.default_rng(seed)
    frames = np.asarray(frames)
    return Track(
        name,
        frames,
        rng.normal(size=(len(frames), joints, 2)) * 3 + 50,
        rng.uniform(0.2, 1, (len(frames), joints)),
        np.arange(len(frames)) * 10,
    )


def test_absent_frames_are_added_with_the_lesser_score():
    before = track([4, 5, 6, 9, 10])
    after, report = refine_track(before, None, Gaussian(), Options(max_gap=2))
    assert after.frames.tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert after.entries.tolist() == [0, 10, 20, ADDED, ADDED, 30, 40]
    np.testing.assert_array_equal(after.scores[3], np.minimum(before.scores[2], before.scores[3]))
    np.testing.assert_array_equal(after.scores[[0, 1, 2, 5, 6]], before.scores)
    assert (report.frames, report.added_frames, report.filled_joints) == (5, 2, 6)


def test_long_absence_parts_a_track():
    before = track([0, 1, 2, 3, 10**12, 10**12 + 1, 10**12 + 2])  # and no memory is taken for what lies between
    after, report = refine_track(before, None, Gaussian(), Options(max_gap=3))
    assert after.frames.tolist() == before.frames.tolist() and report.added_frames == 0
    alone, _ = refine_track(Track("a", *(getattr(before, n)[4:] for n in ("frames", "poses", "scores", "entries"))),
                            None, Gaussian(), Options(max_gap=3))  # fmt: skip
    np.testing.assert_array_equal(after.poses[4:], alone.poses)


def test_report_is_of_what_the_file_has():
    before = track(range(50))
    before.poses[10, 1] = np.nan
    before.poses[20:40, 2] = np.nan
    after, report = refine_track(before, 30.0, OneEuro(), Options(max_gap=5, max_move=1.0))
    assert report.filled_joints == 1 and report.missing_joints == 20 and report.added_frames == 0
    assert report.moved_joints == 150 - 21
    assert report.held_joints > 0 and report.largest_move == pytest.approx(1.0)
    assert report.jitter_after < report.jitter_before
    assert report.accelerations == 48 + (48 - 3) + (48 - 22)
    first, last = before.poses[:, 0], after.poses[:, 0]
    assert report.mean_move > 0 and not np.array_equal(first, last)


def test_weak_joints_are_gaps_and_stay_where_nothing_fills_them():
    before = track(range(30))
    before.scores[:] = 0.9
    before.scores[10:12, 0] = before.scores[20:29, 1] = 0.1
    before.poses[10:12, 0] = 1e4
    after, report = refine_track(before, None, Gaussian(), Options(max_gap=3, min_score=0.3))
    assert report.filled_joints == 2 and after.poses[:, 0].max() < 100 and (after.scores[10:12, 0] == 0.9).all()
    np.testing.assert_array_equal(after.poses[20:29, 1], before.poses[20:29, 1])
    assert (after.scores[20:29, 1] == 0.1).all()


def test_empty_and_one_frame_tracks():
    for frames in ([], [7]):
        after, report = refine_track(track(frames), None, Gaussian())
        assert after.frames.tolist() == frames and report.frames == len(frames)
        np.testing.assert_array_equal(after.poses, track(frames).poses)
        assert np.isnan(report.jitter_before)


def test_totals():
    tracks, reports = refine_tracks([track(range(20)), track([3], 1), track(range(9), 2)], None, Gaussian())
    assert len(tracks) == 3
    whole = total(reports)
    assert whole.frames == 30 and whole.accelerations == (18 + 7) * 3 and whole.moved_joints == 90
    jitters = [reports[0].jitter_before, reports[2].jitter_before]
    assert min(jitters) < whole.jitter_before < max(jitters)
    assert whole.largest_move == max(report.largest_move for report in reports)
    assert np.isnan(total([]).jitter_before)

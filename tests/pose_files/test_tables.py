"""Tables: sparse frames, rows of any order, three dimensions, and faults."""

import csv

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.reader import read_poses, write_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.sequence import Options
from jmpose_jax.refinement.tracks import refine_tracks
from tests.pose_files.conftest import write_rows, write_sleap, write_tidy

HEADER = ["frame", "joint", "x", "y", "z"]


def refined(path, out, max_gap=5):
    file = read_poses(path)
    tracks, _ = refine_tracks(file.tracks, None, Gaussian(), Options(max_gap=max_gap))
    write_poses(file, tracks, out)
    with open(out, newline="") as read:
        return list(csv.DictReader(read))


def test_every_second_frame_has_no_gaps(tmp_path):
    write_rows(tmp_path / "a.csv", [HEADER, *([10 + 2 * f, "hand", f, f * f, -f] for f in range(6))])
    file = read_poses(tmp_path / "a.csv")
    (track,) = file.tracks
    assert (file.first, file.step, file.dimensions, file.fps) == (10, 2, 3, None)
    assert track.frames.tolist() == list(range(6)) and track.poses[5, 0].tolist() == [5, 25, -5]
    rows = refined(tmp_path / "a.csv", tmp_path / "b.csv")
    assert [row["frame"] for row in rows] == ["10", "12", "14", "16", "18", "20"]


def test_new_rows_stand_where_their_frame_is(tmp_path, people):
    write_tidy(tmp_path / "a.csv", people)
    rows = refined(tmp_path / "a.csv", tmp_path / "b.csv")
    frames = [int(row["frame"]) for row in rows]
    assert frames == sorted(frames) and len(rows) == 36
    new = [row for row in rows if row["track_id"] == "1" and row["frame"] == "2"]
    assert [row["joint"] for row in new] == ["nose", "left", "right"]
    assert {row["time_s"] for row in new} == {"0.080000"} and {row["track_score"] for row in new} == {""}
    assert all(0 < float(row["score"]) <= 1 for row in rows)
    write_sleap(tmp_path / "s.csv", people)
    rows = refined(tmp_path / "s.csv", tmp_path / "t.csv")
    assert [row["frame_idx"] for row in rows if row["track"] == "track_1"] == list("012345")


def test_rows_of_any_order(tmp_path):
    rows = [[f, joint, f + 3 * k, 2 * f, 0] for f in range(5) for k, joint in enumerate("ab")]
    write_rows(tmp_path / "a.csv", [HEADER, *rows])
    write_rows(tmp_path / "b.csv", [HEADER, *(rows[i] for i in np.random.default_rng(0).permutation(10))])
    one, other = read_poses(tmp_path / "a.csv"), read_poses(tmp_path / "b.csv")
    order = [other.joints.index(joint) for joint in one.joints]
    np.testing.assert_array_equal(one.tracks[0].poses, other.tracks[0].poses[:, order])


def test_what_stays_missing_keeps_its_cells(tmp_path):
    rows = [[f, "a", f, f, 0] for f in range(4)]
    rows[0][2:] = ["", "nan", ""]
    write_rows(tmp_path / "a.csv", [HEADER, *rows])
    found = refined(tmp_path / "a.csv", tmp_path / "b.csv")
    assert (found[0]["x"], found[0]["y"], found[0]["z"]) == ("", "nan", "")


TIDY_HEADER = ["frame", "track_id", "joint", "x", "y"]


@pytest.mark.parametrize("empty", ("", "nan", "-1"))
def test_rows_without_identity_are_left_alone_beside_others(tmp_path, empty):
    named = [[f, 0, "a", 900 + f * f, 5] for f in range(9)]
    loose = [[f, empty, "a", 100 + 7 * f * f, "5.10"] for f in range(9) for _ in range(2)]  # two in a frame
    write_rows(tmp_path / "a.csv", [TIDY_HEADER, *named, *loose])
    file = read_poses(tmp_path / "a.csv")
    assert [(t.name, len(t.frames)) for t in file.tracks] == [("0", 9)] and "18 rows without" in file.notes[0]
    after = refined(tmp_path / "a.csv", tmp_path / "b.csv")
    assert [list(row.values()) for row in after if row["track_id"] == empty] == [list(map(str, row)) for row in loose]


@pytest.mark.parametrize("write", ("tidy", "sleap"))
def test_alone_without_identity_stays_without(tmp_path, write):
    tidy = [TIDY_HEADER, *([f, "", "a", f, 5] for f in range(6) if f != 2)]
    sleap = [["track", "frame_idx", "a.x", "a.y"], *(["", f, f, 5] for f in range(6) if f != 2)]
    write_rows(tmp_path / "a.csv", tidy if write == "tidy" else sleap)
    rows = refined(tmp_path / "a.csv", tmp_path / "b.csv")
    assert len(rows) == 6 and {row.get("track_id", row.get("track")) for row in rows} == {""}


def test_uneven_times_are_noted_and_two_of_a_frame_refused(tmp_path):
    rows = [[f, f / 30 if f < 6 else f, "a", f, 5] for f in range(12)]
    header = ["frame", "time_s", "joint", "x", "y"]
    write_rows(tmp_path / "a.csv", [header, *rows])
    assert "uneven" in read_poses(tmp_path / "a.csv").notes[0]
    write_rows(tmp_path / "b.csv", [header, *rows[:6]])
    assert read_poses(tmp_path / "b.csv").notes == ()
    write_rows(tmp_path / "c.csv", [header, *rows, ["2.0", 9.0, "b", 1, 1]])
    with pytest.raises(InputError, match="line 14: frame 2.0 is at 9 s"):
        read_poses(tmp_path / "c.csv")


@pytest.mark.parametrize(
    "rows, culprit",
    [
        ([HEADER], "no pose"),
        ([HEADER, [0, "a", 1, 2]], "line 2"),
        ([HEADER, ["x", "a", 1, 2, 3]], "line 2: the frame"),
        ([HEADER, [-1, "a", 1, 2, 3]], "line 2: the frame"),
        ([HEADER, [0, "a", 1, 2, 3], [0, "a", 1, 2, 3]], "line 3: joint a .* twice in frame 0"),
        ([HEADER, [0, "a", "one", 2, 3]], "line 2: column 'x'"),
        ([["time_s", *HEADER], ["soon", 0, "a", 1, 2, 3]], "line 2: column 'time_s'"),
        ([["track", "frame_idx", "a.x", "a.y"]], "no pose"),
        ([["track", "frame_idx", "a.x", "a.y"], ["t", "?", 1, 2]], "frame_idx"),
        ([["track", "frame_idx", "a.x", "a.y"], ["t", 1, 1, 2], ["t", 1, 1, 2]], "identity t occurs twice in frame"),
    ],
)
def test_faults(tmp_path, rows, culprit):
    write_rows(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match=culprit) as caught:
        read_poses(tmp_path / "a.csv")
    assert "a.csv" in str(caught.value) and "\n" not in str(caught.value)

"""Every form: what is read is what is there, what is written again is what was read, and other poses come back."""

import json
import random

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.reader import read_poses, write_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.sequence import Options
from jmpose_jax.refinement.tracks import refine_tracks
from tests.pose_files.conftest import WRITE


def same_tracks(a, b, atol=0.0):
    assert [track.name for track in a] == [track.name for track in b]
    for one, other in zip(a, b):
        there = [track.valid.any(axis=1) for track in (one, other)]
        np.testing.assert_array_equal(one.frames[there[0]], other.frames[there[1]])
        np.testing.assert_allclose(one.poses[there[0]], other.poses[there[1]], rtol=1e-6, atol=atol)
        known = one.valid[there[0]]
        np.testing.assert_allclose(one.scores[there[0]][known], other.scores[there[1]][known], rtol=1e-6)


def test_reads_what_is_there(pose_file, people):
    file = read_poses(pose_file)
    assert file.form == pose_file.parent.name
    assert len(file.joints) == 3 and file.dimensions == 2
    if file.form != "results":  # which has no names
        assert file.joints == ("nose", "left", "right")
    for track, poses in zip(file.tracks, people.values(), strict=True):
        seen = {f: pose for f, pose in zip(track.frames.tolist(), track.poses) if np.isfinite(pose).any()}
        assert set(seen) == set(poses)
        for f, pose in seen.items():
            there = poses[f][:, 2] > 0
            np.testing.assert_allclose(pose[there], poses[f][there, :2], rtol=1e-6)
            assert np.isnan(pose[~there]).all()
    assert file.fps == {"tidy": pytest.approx(25), "npz": 30}.get(file.form)
    assert (file.first, file.step) == {"results": (0, 2), "annotations": (100, 1)}.get(file.form, (0, 1))


def test_nothing_changed_writes_the_same(pose_file, tmp_path):
    file = read_poses(pose_file)
    write_poses(file, file.tracks, tmp_path / "again")
    again = read_poses(tmp_path / "again")
    same_tracks(again.tracks, file.tracks)
    if pose_file.suffix == ".json":
        assert json.loads((tmp_path / "again").read_text()) == json.loads(pose_file.read_text())
    if pose_file.suffix == ".csv":
        with open(tmp_path / "again", newline="") as one, open(pose_file, newline="") as other:
            assert one.read().split() == other.read().split()


def test_refined_poses_and_filled_frames_come_back(pose_file, tmp_path):
    file = read_poses(pose_file)
    tracks, reports = refine_tracks(file.tracks, 25.0, Gaussian(), Options(max_gap=2))
    added = sum(report.added_frames for report in reports)
    assert added == (0 if file.form == "npz" else 2)  # whose frames are all there
    assert sum(report.filled_joints for report in reports) == 7
    write_poses(file, tracks, tmp_path / "refined")
    again = read_poses(tmp_path / "refined")
    assert (again.form, again.joints, again.first, again.step) == (file.form, file.joints, file.first, file.step)
    same_tracks(again.tracks, tracks, atol=1e-4)
    assert all(track.valid.all() for track in again.tracks)
    assert not np.allclose(again.tracks[0].poses[0], file.tracks[0].poses[1])
    assert list(tmp_path.glob("*tmp*")) == []


@pytest.mark.parametrize(
    "name, content, culprit",
    [
        ("a.csv", "", "empty"),
        ("a.csv", "a,b\n1,2\n", "no known form"),
        ("a.csv", 'frame,joint,x,y\n0,"nose,1,2\n', "no CSV"),
        ("a.json", "{}", "holds nothing"),
        ("a.json", '{"annolist": []}', "PoseTrack17"),
        ("a.json", "[1]", "no known form"),
        ("a.json", '{"images": ', "JSON"),
        ("a.bin", b"\xff\xfe\x00\x01", "no known form"),
    ],
)
def test_no_such_form(tmp_path, name, content, culprit):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=culprit) as caught:
        read_poses(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_poses(tmp_path / "absent.csv")


ODD = (None, True, -1, 0, 1e300, 10**30, float("nan"), float("inf"), "x", "7", [], {}, [1], {"a": 1}, 1.5, "")


def places(content, above=()):
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*above, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*above, key))


def mutations(text, form, rng):
    """The text of a file with one value changed or left out."""
    if form not in ("annotations", "results"):
        rows = [line.split(",") for line in text.splitlines()]
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = str(rng.choice(ODD)).split(",")[0]
        return "\n".join(",".join(row) for row in rows)
    content = json.loads(text)
    *above, last = rng.choice(list(places(content)))
    holder = content
    for key in above:
        holder = holder[key]
    if rng.random() < 0.2:
        del holder[last]
    else:
        holder[last] = rng.choice(ODD)
    return json.dumps(content)


@pytest.mark.parametrize("form", ("annotations", "results", "tidy", "sleap", "dlc_csv"))
def test_damaged_files_are_read_or_refused_in_one_line(form, people, tmp_path):
    name, write = WRITE[form]
    write(tmp_path / name, people)
    text, rng, refused = (tmp_path / name).read_text(), random.Random(0), 0
    for _ in range(60):
        (tmp_path / name).write_text(mutations(text, form, rng))
        try:
            file = read_poses(tmp_path / name)
            write_poses(file, refine_tracks(file.tracks, 25.0, Gaussian())[0], tmp_path / "out")
            read_poses(tmp_path / "out")
        except InputError as fault:
            refused += 1
            assert name in str(fault) and "\n" not in str(fault)
    assert 0 < refused < 60

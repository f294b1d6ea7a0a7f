"""`jmpose refine` from a user's side: every form, results together or not at all, and faults in one line."""

import csv
import json

import cv2
import numpy as np
import pytest

from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from jmpose_jax.pose_files.reader import read_poses
from tests.commands import run
from tests.pose_files.conftest import WRITE, make_people, write_rows


@pytest.fixture
def walk(tmp_path):
    """60 frames of two joints on their way, at 30 frames a second, with noise; the truth beside it."""
    rng = np.random.default_rng(0)
    truth = np.stack([np.stack([40 + np.arange(60) / 2 + 9 * k, 30 + 5 * np.sin(np.arange(60) / 9)], -1)
                      for k in range(2)], axis=1)  # fmt: skip
    for name, poses in (("walk", truth + rng.normal(size=truth.shape)), ("truth", truth)):
        rows = [[f, f / 30, 0, joint, *poses[f, k], 0.9] for f in range(60) for k, joint in enumerate("ab")]
        write_rows(tmp_path / f"{name}.csv", [["frame", "time_s", "track_id", "joint", "x", "y", "score"], *rows])
    return tmp_path / "walk.csv"


@pytest.mark.parametrize("form", WRITE)
def test_every_form_comes_back_in_its_form(form, tmp_path):
    name, write = WRITE[form]
    write(tmp_path / name, make_people())
    ended = run("refine", "--poses", tmp_path / name, "--nopictures")
    assert ended.status == 0, ended.err
    folder = tmp_path / f"{(tmp_path / name).stem}_refined"
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, "refine.json"])
    before, after = read_poses(tmp_path / name), read_poses(folder / name)
    assert (before.form, before.joints) == (after.form, after.joints)
    assert all(track.valid.all() for track in after.tracks)
    report = json.loads((folder / "refine.json").read_text())
    assert report["all"]["filled_joints"] == 7 and report["method"] == "gaussian" and len(report["tracks"]) == 2
    assert "7 joints filled" in ended.out


def test_jitter_falls_errors_are_told_and_pictures_are_drawn(walk):
    out = walk.parent / "out"
    ended = run(
        "refine", "--poses", walk, "--method", "gaussian", "--output", out, "--truth", walk.parent / "truth.csv"
    )
    assert ended.status == 0, ended.err
    report = json.loads((out / "refine.json").read_text())
    assert report["fps"] == pytest.approx(30)
    assert report["all"]["jitter_after"] < report["all"]["jitter_before"] / 4
    assert report["errors"]["after"]["error"] < report["errors"]["before"]["error"]
    assert report["errors"]["after"]["acceleration_error"] < report["errors"]["before"]["acceleration_error"] / 4
    for name in ("curves.png", "trajectories.png"):
        assert np.std(cv2.imread(str(out / name))) > 5
    assert "jitter" in ended.out and "error" in ended.out and ended.out.count("\n") == 1


def test_a_truth_of_some_frames_is_said_so(walk):
    with open(walk.parent / "truth.csv", newline="") as file:
        rows = list(csv.reader(file))
    write_rows(walk.parent / "some.csv", [rows[0], *rows[21:61]])  # 20 frames from the tenth
    out = walk.parent / "out"
    ended = run("refine", "--poses", walk, "--output", out, "--truth", walk.parent / "some.csv", "--nopictures")
    assert ended.status == 0 and "of the 20 poses that the truth has" in ended.out, ended.err
    report = json.loads((out / "refine.json").read_text())["errors"]
    assert report["compared"] == {"joints": 40, "frames": 20, "poses": 60} and report["filled"]["error"] is None


def test_an_overlay_and_other_forms(walk):
    with VideoWriter(walk.parent / "walk.mp4", 30, (128, 64)) as writer:
        for _ in range(60):
            writer.write(np.zeros((64, 128, 3), np.uint8))
    out = walk.parent / "out"
    options = ("--output", out, "--formats", "coco,mot", "--nopictures")
    ended = run("refine", "--poses", walk, "--video", walk.parent / "walk.mp4", *options)
    assert ended.status == 0, ended.err
    frames = list(VideoReader(out / "overlay.mp4"))
    assert len(frames) == 60 and all(frame.max() > 100 for frame in frames)
    assert len(json.loads((out / "poses.coco.json").read_text())) == 60
    assert len((out / "poses.mot.txt").read_text().splitlines()) == 60


def test_earlier_results_stay_unless_asked(walk):
    out = walk.parent / "out"
    assert run("refine", "--poses", walk, "--output", out).status == 0
    again = run("refine", "--poses", walk, "--output", out, "--nopictures")
    assert again.status == 2 and "--if_exists" in again.fault
    assert run("refine", "--poses", walk, "--output", out, "--nopictures", "--if_exists", "number").status == 0
    assert (walk.parent / "out-2" / "walk.csv").exists()
    assert run("refine", "--poses", walk, "--output", out, "--nopictures", "--if_exists", "replace").status == 0
    assert sorted(path.name for path in out.iterdir()) == ["refine.json", "walk.csv"]  # no picture of the earlier run
    onto = run("refine", "--poses", walk, "--output", walk.parent, "--if_exists", "replace")
    assert onto.status == 2 and "would replace" in onto.fault


def test_replacing_takes_nothing_of_others(walk):
    out = walk.parent / "out"
    out.mkdir()
    others = ("overlay.mp4", "poses.coco.json", "poses.mot.txt", "curves.png")
    for name in others:
        (out / name).write_text("precious")
    options = ("--poses", walk, "--output", out, "--nopictures", "--if_exists", "replace")
    assert run("refine", *options).status == 0
    assert all((out / name).read_text() == "precious" for name in others)
    (out / "refine.json").unlink()
    assert run("refine", *options).status == 0 and (out / "poses.mot.txt").read_text() == "precious"
    assert run("refine", *options, "--formats", "mot").status == 0
    (out / "poses.mot.txt").rename(out / "mine.txt")
    (walk.parent / "truth.csv").rename(out / "poses.mot.txt")
    ended = run("refine", *options, "--truth", out / "poses.mot.txt")
    assert ended.status == 0 and (out / "poses.mot.txt").exists() and "error" in ended.out, ended.err
    assert run("refine", *options).status == 0 and (out / "poses.mot.txt").exists()  # the report lists it no more
    report = json.loads((out / "refine.json").read_text())
    (out / "refine.json").write_text(json.dumps({**report, "files": ["../walk.csv", 3, "mine.txt"]}))
    assert run("refine", *options).status == 0 and (out / "mine.txt").exists() and walk.exists()


def test_moves_are_bounded_and_gaps_too(walk):
    out = walk.parent / "out"
    method = ("--method", "savgol", "--window", "15", "--order", "3")
    ended = run(
        "refine", "--poses", walk, "--output", out, "--max_move", "0.5", "--max_gap", "0", "--nopictures", *method
    )
    assert ended.status == 0 and "held to --max_move" in ended.out
    report = json.loads((out / "refine.json").read_text())
    assert report["all"]["largest_move"] <= 0.5 + 1e-9 and report["parameters"] == {"window": 15, "order": 3}


def test_one_euro_of_a_single_joint_says_its_unit(tmp_path):
    write_rows(tmp_path / "a.csv", [["frame", "joint", "x", "y"], *([f, "a", f * f, 2] for f in range(5))])
    options = ("--method", "one_euro", "--fps", "30", "--nopictures")
    ended = run("refine", "--poses", tmp_path / "a.csv", "--output", tmp_path / "out", *options)
    assert ended.status == 0 and "a single joint has no size" in ended.out


def test_a_rate_at_fault_is_the_files(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.zeros((5, 2, 2)), fps=1e300)
    ended = run("refine", "--poses", tmp_path / "a.npz", "--output", tmp_path / "out")
    assert ended.status == 2 and "a.npz: fps=1e+300" in ended.fault


def test_signals_no_longer_count_once_the_last_line_is_said(walk, monkeypatch):
    order = []
    monkeypatch.setattr("jmpose_jax.stopping.finished", lambda: order.append("finished"))
    monkeypatch.setattr("experiments.refine.print", lambda *_, **__: order.append("line"), raising=False)
    assert run("refine", "--poses", walk, "--nopictures").status == 0
    assert order[:2] == ["finished", "line"]


def test_one_frame_passes_unchanged(tmp_path):
    write_rows(tmp_path / "a.csv", [["frame", "joint", "x", "y"], [3, "a", "1.50", "2"]])
    ended = run("refine", "--poses", tmp_path / "a.csv", "--output", tmp_path / "out")
    assert ended.status == 0 and "no jitter to measure" in ended.out
    with open(tmp_path / "out" / "a.csv", newline="") as file:
        assert list(csv.reader(file))[1] == ["3", "a", "1.50", "2"]


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        ([], "--poses"),
        (["--poses", "absent.csv"], "absent.csv"),
        (["--poses", "{walk}", "--method", "median"], "median"),
        (["--poses", "{walk}", "--window", "5"], "--window"),
        (["--poses", "{walk}", "--method", "savgol", "--window", "4"], "--window=4"),
        (["--poses", "{walk}", "--max_gap", "-1"], "--max_gap=-1"),
        (["--poses", "{walk}", "--max_move", "nan"], "--max_move=nan"),
        (["--poses", "{walk}", "--fps", "0"], "--fps=0"),
        (["--poses", "{walk}", "--formats", "xml"], "--formats=xml"),
        (["--poses", "{walk}", "--video", "{walk}"], "walk.csv"),
        (["--poses", "{walk}", "--truth", "{empty}"], "empty.csv"),
        (["--poses", "{walk}", "--truth", "{other}"], "other.csv"),
        (["--poses", "{other}", "--method", "one_euro"], "--fps"),
        (["--poses", "{walk}", "--checkpoint", "absent"], "absent"),
        (["--poses", "{walk}", "--checkpoint", "absent", "--method", "savgol"], "--method=savgol"),
    ],
)
def test_faults_are_one_line_and_leave_nothing(walk, arguments, culprit):
    write_rows(walk.parent / "empty.csv", [["frame", "joint", "x", "y"]])
    write_rows(walk.parent / "other.csv", [["frame", "joint", "x", "y"], [1, "c", 2, 3], [2, "c", 2, 3]])
    known = {name: walk.parent / f"{name}.csv" for name in ("walk", "empty", "other")}
    before = sorted(walk.parent.iterdir())
    ended = run("refine", *(argument.format(**known) for argument in arguments))
    assert ended.status == 2 and culprit in ended.fault and ended.err.count("\n") == 1, ended.err
    assert sorted(walk.parent.iterdir()) == before

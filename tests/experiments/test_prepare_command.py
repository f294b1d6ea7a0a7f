"""`jmpose prepare` as a user meets it: exit status, one line about a fault, nothing left behind."""

import json
import subprocess
import sys

import pytest

from tests.commands import run


def command(*arguments):
    return run("prepare", *arguments)


@pytest.fixture
def source(tmp_path):
    """One video of three frames, its middle frame annotated."""
    import cv2
    import numpy as np

    folder = tmp_path / "source"
    (folder / "annotations" / "val").mkdir(parents=True)
    (folder / "images" / "val" / "000001_mpii_test").mkdir(parents=True)
    images = []
    for number in range(3):
        name = f"images/val/000001_mpii_test/{number:06d}.jpg"
        cv2.imwrite(str(folder / name), np.full((40, 60, 3), 50 * number, np.uint8))
        images.append({"file_name": name, "id": 10000010000 + number, "is_labeled": number == 1})
    keypoints = [10 + i if i % 3 < 2 else 1 for i in range(51)]
    person = {"image_id": 10000010001, "keypoints": keypoints, "bbox": [5, 5, 30, 30], "track_id": 0}
    path = folder / "annotations" / "val" / "000001_mpii_test.json"
    path.write_text(json.dumps({"images": images, "annotations": [person]}))
    return folder


def test_summary_and_status(source, tmp_path):
    (source / "images" / "val" / "000001_mpii_test" / "000002.jpg").write_bytes(b"\xff\xd8cut")
    command = [sys.executable, "-m", "experiments.cli", "prepare", "--dataset=posetrack18", f"--source={source}"]
    result = subprocess.run([*command, f"--output={tmp_path}/out", "--shards=2"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "val: 1 videos, 3 frames listed" in result.stdout and "1 clips" in result.stdout
    assert "skipped 1 × frame truncated (no end marker), e.g. " in result.stdout
    assert len(list((tmp_path / "out").glob("posetrack-val.tfrecord-*-of-00002"))) == 2


def broken_json(source):
    path = source / "annotations" / "val" / "000001_mpii_test.json"
    path.write_text(path.read_text()[:-40])
    return path


def absent_image(source):
    (source / "images" / "val" / "000001_mpii_test" / "000001.jpg").unlink()
    return source / "annotations" / "val" / "000001_mpii_test.json"


def short_keypoints(source):
    path = source / "annotations" / "val" / "000001_mpii_test.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["keypoints"].pop()
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("damage", [broken_json, absent_image, short_keypoints])
def test_faults_of_the_source(source, tmp_path, damage):
    culprit = damage(source)
    result = command("--dataset=posetrack18", f"--source={source}", f"--output={tmp_path}/out")
    assert result.status == 2 and result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("jmpose prepare: ") and str(culprit) in last and "Traceback" not in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset=posetrack18", "--output={}/out", "--source={}/absent"], "absent: no such folder"),
        (["--dataset=posetrack18", "--output={}/out", "--source={}"], "has no folder annotations/"),
        (["--dataset=posetrack18", "--output={}/out"], "--source is missing"),
        (["--dataset=posetrack18", "--source={}/source"], "--output is missing"),
        (["--dataset=mpii", "--source={}", "--output={}/out"], "--dataset"),
        (["--dataset=posetrack18", "--source={}/source", "--output={}/out", "--split=dev"], "--split dev"),
        (
            ["--dataset=posetrack18", "--source={}/source", "--output={}/out", "--boxes={}/b.json"],
            "b.json: no such f",
        ),
        (["--dataset=posetrack18", "--source={}/source", "--output={}/out", "--shards=0"], "--shards"),
    ],
)
def test_faults_of_the_flags(source, tmp_path, arguments, message):
    result = command(*(a.format(tmp_path) for a in arguments))
    assert result.status == 2
    assert len(result.err.splitlines()) == 1 and message in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_check_explains_and_writes_nothing(source, tmp_path):
    result = command("--dataset=posetrack18", f"--source={source}", "--check")
    assert result.status == 0, result.err
    assert "val: 1 × person without a head box: trained on; PoseTrack AP needs the head box" in result.out
    absent_image(source)
    result = command("--dataset=posetrack18", f"--source={source}", "--check")
    assert result.status == 2 and "frame with annotated people missing on disk: preparation stops" in result.out
    assert result.err.splitlines()[-1].startswith("jmpose prepare: ") and "Traceback" not in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_an_earlier_prepared_folder_is_kept_unless_it_is_asked_for(source, tmp_path):
    out, arguments = tmp_path / "out", ("--dataset=posetrack18", f"--source={source}", f"--output={tmp_path}/out")
    assert command(*arguments, "--shards=1").status == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    result = command(*arguments, "--shards=2")
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert str(out) in result.err and "--if_exists=" in result.err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    result = command(*arguments, "--shards=2", "--if_exists=number")
    assert result.status == 0 and f"wrote {out}-2" in result.out
    assert len(list((tmp_path / "out-2").glob("*.tfrecord-*-of-00002"))) == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert command(*arguments, "--shards=2", "--if_exists=replace").status == 0
    assert len(list(out.glob("*.tfrecord-*-of-00002"))) == 2 and not list(out.glob("*-of-00001"))


def test_all_missing_flags_are_named_at_once():
    result = command("--dataset=posetrack18")
    assert result.status == 2 and "--source and --output are missing" in result.err


def test_size_and_orientation_are_flags(source, tmp_path):
    path = source / "annotations" / "val" / "000001_mpii_test.json"
    content = json.loads(path.read_text())
    for image in content["images"]:
        image.update(width=120, height=80)
    path.write_text(json.dumps(content))
    arguments = ("--dataset=posetrack18", f"--source={source}", f"--output={tmp_path}/out")
    result = command(*arguments)
    last = result.err.splitlines()[-1]
    assert result.status == 2 and "120 × 80" in last and "60 × 40" in last and str(path) in last
    assert [p.name for p in tmp_path.iterdir()] == ["source"]
    checked = command(*arguments[:2], "--check")
    assert checked.status == 2 and "annotated 120 × 80, the file has 60 × 40" in checked.out
    result = command(*arguments, "--size_mismatch=scale", "--orientation=stored")
    assert result.status == 0 and "noted 3 × size: annotations scaled" in result.out

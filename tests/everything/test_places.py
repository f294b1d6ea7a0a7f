"""Places that cannot be written to, hold results, or are what is read, at every command that writes."""

import json
import os
import shutil

import numpy as np
import pytest

from jmpose_jax.inference.video.reader import VideoReader
from jmpose_jax.weights import load_torch
from tests.commands import run
from tests.everything.judge import refused, right
from tests.everything.world import FRAMES, VIDEOS, write


@pytest.fixture(scope="session")
def prepared(world, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "out"
    ended = run("prepare", f"--source={world.posetrack}", f"--output={output}", "--processes=1")
    assert ended.status == 0, ended.err
    return output


def predict(world, prepared, place, *more):
    return run(
        "predict", f"--video={world.video}", f"--checkpoint={world.checkpoint}", "--detector=whole",
        f"--output={place}", *more,
    )  # fmt: skip


def convert(world, prepared, place, *more):
    return run("convert", "--model=hrnet_w4", f"--torch={world.torch}", f"--output={place}", *more)


def prepare(world, prepared, place, *more):
    return run("prepare", f"--source={world.posetrack}", f"--output={place}", "--split=val", "--processes=1", *more)


def browse(world, prepared, place, *more):
    return run(
        "browse", f"--dataset={prepared}", "--clips=1", "--flow=none", "--input_size=64,48", f"--output={place}", *more
    )


def evaluate(world, prepared, place, *more):
    truth = world.posetrack / "annotations/val"
    return run("evaluate", f"--ground_truth={truth}", f"--predictions={world.predictions}", f"--workdir={place}", *more)


def train(world, prepared, place, *more):
    return run("train", "--config=configs/backbone.py:tiny", f"--workdir={place}", f"--config.dataset.root={prepared}")


def compiled(world, prepared, place, *more):
    return run("train", "--config=configs/backbone.py:tiny", f"--workdir={place}", "--compile_only")


def grid(world, prepared, place, *more):
    return run("grid", "--config=configs/gamma_grid.py", f"--workdir={place}", f"--config.dataset.root={prepared}")


def quickstart(world, prepared, place, *more):
    return run("quickstart", "--scale=smoke", f"--workdir={place}")


WRITERS = {
    command.__name__: command
    for command in (predict, convert, prepare, browse, evaluate, train, compiled, grid, quickstart)
}
KEPT = {"predict": "poses.json", "convert": "convert.json", "prepare": "summary.json", "browse": ""}


def a_file(path):
    return write(path / "taken", "mine")


PLACES = {
    "a file": a_file,
    "below a file": lambda path: a_file(path) / "deeper" / "out",
    "a system's folder": lambda path: "/proc/jmpose/out",
    "another system's folder": lambda path: "/sys/jmpose",
    "a name too long": lambda path: path / ("x" * 300),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", WRITERS)
def test_a_place_that_cannot_be_written_to_is_named_before_the_work(world, prepared, tmp_path, command, place):
    if command == "browse" and place == "a file":
        pytest.skip("a page is a file")
    ended = WRITERS[command](world, prepared, PLACES[place](tmp_path))
    refused(ended)
    assert not (tmp_path / "taken").exists() or (tmp_path / "taken").read_text() == "mine"
    assert "taken" in ended.fault or "jmpose" in ended.fault


def state(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


@pytest.mark.parametrize("command", KEPT)
def test_results_of_an_earlier_run_are_kept_unless_the_user_says_so(world, prepared, tmp_path, command):
    place = tmp_path / ("out.html" if command == "browse" else "out")
    call = WRITERS[command]
    right(call(world, prepared, place), (place / KEPT[command]).exists)
    before = state(place)
    refused(call(world, prepared, place))
    refused(call(world, prepared, place, "--if_exists=refuse"))
    assert state(place) == before
    numbered = tmp_path / ("out-2.html" if command == "browse" else "out-2")
    right(call(world, prepared, place, "--if_exists=number"), (numbered / KEPT[command]).exists)
    assert state(place) == before
    right(call(world, prepared, place, "--if_exists=replace"), (place / KEPT[command]).exists)
    assert state(place) != before


def test_an_evaluation_keeps_the_earlier_one_under_a_number(world, prepared, tmp_path):
    right(evaluate(world, prepared, tmp_path / "out"), (tmp_path / "out/evaluation.json").exists)
    first = (tmp_path / "out/evaluation.json").read_text()
    other = world.copy_of("predictions", tmp_path)
    path = other / f"{VIDEOS['val']}.json"
    content = json.loads(path.read_text())
    for entry in content["annotations"]:
        entry["keypoints"] = [v + 40 for v in entry["keypoints"]]
    write(path, content)
    truth = world.posetrack / "annotations/val"
    ended = run("evaluate", f"--ground_truth={truth}", f"--predictions={other}", f"--workdir={tmp_path / 'out'}")
    assert ended.status == 0, ended.err
    kept = [p for p in (tmp_path / "out").glob("evaluation*.json") if p.name != "evaluation.json"]
    assert [p.read_text() for p in kept] == [first]
    assert kept[0].name in ended.out + ended.err
    assert (tmp_path / "out/evaluation.json").read_text() != first


@pytest.mark.parametrize("link", ["same", "hard", "soft"])
@pytest.mark.parametrize("flag", [[], ["--if_exists=replace"], ["--if_exists=number"]])
def test_a_video_is_never_replaced_by_its_own_overlay(world, prepared, tmp_path, monkeypatch, link, flag):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    shutil.copyfile(world.video, tmp_path / "in/overlay.mp4")
    place = tmp_path / "in"
    if link != "same":
        place = tmp_path / "out"
        place.mkdir()
        (os.link if link == "hard" else os.symlink)(tmp_path / "in/overlay.mp4", place / "overlay.mp4")
    before = (tmp_path / "in/overlay.mp4").read_bytes()
    ended = run(
        "predict", f"--video={tmp_path / 'in/overlay.mp4'}", f"--checkpoint={world.checkpoint}", "--detector=whole",
        f"--output={place}", *flag,
    )  # fmt: skip
    assert (tmp_path / "in/overlay.mp4").read_bytes() == before
    if flag != ["--if_exists=number"]:
        refused(ended)
        assert not (place / "poses.json").exists()


def test_boxes_are_never_replaced_by_poses(world, prepared, tmp_path):
    write(tmp_path / "out/poses.json", [{"image_id": f, "bbox": [5, 4, 30, 50], "score": 0.9} for f in range(FRAMES)])
    before = state(tmp_path / "out")
    ended = predict(world, prepared, tmp_path / "out", f"--boxes={tmp_path / 'out/poses.json'}", "--if_exists=replace")
    refused(ended)
    assert state(tmp_path / "out") == before


def test_weights_are_never_replaced_by_what_is_read_of_them(world, prepared, tmp_path):
    file = world.copy_of("hrnet_w4.safetensors", tmp_path)
    before = load_torch(file)
    refused(convert(world, prepared, file))
    assert all(np.array_equal(value, before[key]) for key, value in load_torch(file).items())


@pytest.mark.parametrize("inside", [".", "prepared", "images"])
def test_a_data_set_is_never_replaced_by_its_shards(world, prepared, tmp_path, inside):
    folder = world.copy_of("posetrack", tmp_path)
    before = state(folder)
    ended = run(
        "prepare", f"--source={folder}", f"--output={folder / inside}", "--split=val", "--processes=1",
        "--if_exists=replace",
    )  # fmt: skip
    assert {name: value for name, value in state(folder).items() if name in before} == before
    if inside != "prepared":
        refused(ended)


@pytest.mark.parametrize("name", ["text", "empty", "folder", "pattern", "absent", "cut off"])
def test_what_is_no_video(world, tmp_path, name):
    place = tmp_path / "source"
    if name in ("text", "empty", "cut off"):
        content = {"text": b"no video", "empty": b"", "cut off": world.video.read_bytes()[:60]}[name]
        place = write(tmp_path / "source.mp4", content)
    elif name == "folder":
        place.mkdir()
    elif name == "pattern":
        place = world.posetrack / "images/val" / VIDEOS["val"] / "%06d.jpg"
    ended = run(
        "predict", f"--video={place}", f"--checkpoint={world.checkpoint}", "--detector=whole",
        f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    refused(ended, tmp_path / "out")
    assert str(place) in ended.fault
    if name in ("folder", "folder of images"):
        assert "no such file" not in ended.fault and "folder" in ended.fault


@pytest.mark.parametrize("command", ["predict", "convert", "evaluate", "train", "grid", "quickstart", "prepare"])
def test_a_flag_given_twice_is_said(command):
    flag = {"predict": "video", "convert": "torch", "prepare": "source"}.get(command, "workdir")
    ended = run(command, f"--{flag}=a", f"--{flag}=b")
    refused(ended)
    assert f"--{flag}" in ended.fault


@pytest.mark.parametrize(
    "command, names",
    [
        ("predict", ("video",)),
        ("convert", ("model", "torch", "output")),
        ("train", ("config", "workdir")),
    ],
)
def test_all_missing_flags_are_named_at_once(command, names):
    ended = run(command)
    refused(ended)
    assert all(f"--{name}" in ended.fault for name in names)


def test_results_play(world, prepared, tmp_path):
    right(predict(world, prepared, tmp_path / "out"), (tmp_path / "out/overlay.mp4").exists)
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == FRAMES

"""`jmpose predict` from a checkpoint on disk, and its faults."""

import csv
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from PIL import Image

from experiments import predict
from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.outputs import deeplabcut
from jmpose_jax.inference.pipeline import Summary
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.models import MoveNet
from jmpose_jax.models.registry import create_model
from jmpose_jax.models.sequences.smoothnet import SmoothNet
from jmpose_jax.pose_files.reader import read_poses
from jmpose_jax.records import ClipBatch
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_track
from jmpose_jax.train.checkpoints import save_variables
from jmpose_jax.train.trained import load_variables
from jmpose_jax.weights import published

BACKBONE = {
    "width": 8, "stem_features": (8, 8), "stem_block": "basic", "stem_blocks": 1,
    "stage_modules": (1,), "blocks_per_branch": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An image backbone with random variables, saved as training saves it."""
    folder = tmp_path_factory.mktemp("run")
    config = {
        "model": {"name": "image", "backbone": BACKBONE},
        "dataset": {"delta": 0, "input_size": (64, 48), "skeleton": "posetrack15", "flow_source": "none"},
        "eval": {"flip_test": False, "decode": "dark", "blur_kernel": 5},
    }
    model = create_model(config["model"])
    batch = ClipBatch(
        frames=np.zeros((1, 1, 64, 48, 3), np.uint8),
        keypoints=np.zeros((1, 15, 2), np.float32),
        joint_weights=np.zeros((1, 15), np.float32),
        transform=np.eye(2, 3, dtype=np.float32)[None],
        box_score=np.ones(1, np.float32),
        index=np.zeros(1, np.int32),
        valid=np.ones(1, np.float32),
    )
    # Random values in place of the initialiser's, which would have to be compiled.
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.01, 0.2, leaf.shape), leaf.dtype), shapes)
    save_variables(folder, variables, config)
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, 15, (128, 96)) as writer:
        for _ in range(6):
            writer.write(rng.integers(0, 255, (96, 128, 3)).astype(np.uint8))
    return path


def run(capsys, *words, **values):
    """Status, standard output and standard error of the command."""
    try:
        predict.main(["jmpose predict", *words, *(f"--{name}={value}" for name, value in values.items())])
        status = 0
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def fresh():
    """A command defines its flags when it is called, once in a process; take them away for the next call."""
    of_commands = [f"experiments.command.{name}" for name in ("outputs", "part", "result_files", "tracking")]
    for module in ("experiments.predict", *of_commands):
        for flag in flags.FLAGS.flags_by_module_dict().get(module, [])[:]:
            delattr(flags.FLAGS, flag.name)


@pytest.fixture(autouse=True)
def fresh_flags():
    yield
    fresh()


def test_whole_frame(checkpoint, video, tmp_path, capsys):
    status, out, err = run(capsys, video=video, checkpoint=checkpoint, output=tmp_path / "out", detector="whole")
    assert status == 0 and "6 frames, 6 poses, 1 tracks" in out, err
    sequence = read_sequence(tmp_path / "out/poses.json")
    assert sequence.num_persons == 6 and sequence.present.all()
    assert np.ptp(sequence.keypoints[..., 0]) > 1  # the network saw noise, not nothing
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == 6
    assert len((tmp_path / "out/poses.csv").read_text().splitlines()) == 1 + 6 * 15


def test_boxes_and_max_frames(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"0": [[10, 10, 30, 60, 0.9]], "2": [[12, 10, 30, 60, 0.9], [70, 5, 40, 80, 0.1]]}))
    status, out, err = run(
        capsys, video=video, checkpoint=checkpoint, output=tmp_path / "out", boxes=boxes, max_frames=3, flip_test=True
    )
    assert status == 0 and "3 frames, 2 poses, 1 tracks" in out, err
    assert "1 boxes with a score below 0.2 left out" in out


def fault(capsys, tmp_path, message, **values):
    status, out, err = run(capsys, output=tmp_path / "out", **values)
    assert status == 2 and out == ""
    line = err.strip().splitlines()[-1]
    assert line.startswith("jmpose predict: ") and message in line
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_absent_checkpoint(video, tmp_path, capsys):
    fault(capsys, tmp_path, "does not exist", video=video, checkpoint=tmp_path / "none")


def test_without_a_source_it_says_how_one_is_named(checkpoint, tmp_path, capsys):
    fault(capsys, tmp_path, "nothing to read is named", checkpoint=checkpoint)


def test_no_video(checkpoint, tmp_path, capsys):
    fault(capsys, tmp_path, "no such file", video=tmp_path / "none.mp4", checkpoint=checkpoint)


def test_text_as_video(checkpoint, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    fault(capsys, tmp_path, "cannot be opened", video=tmp_path / "text.mp4", checkpoint=checkpoint)


def test_no_checkpoint(video, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    fault(capsys, tmp_path, "holds no checkpoint", video=video, checkpoint=tmp_path / "empty")


def test_unknown_detector(checkpoint, video, tmp_path, capsys):
    fault(capsys, tmp_path, "--detector=yolo", video=video, checkpoint=checkpoint, detector="yolo")


def test_boxes_outside_the_image(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"0": [[10, 10, 30, 60]], "3": [[500, 10, 30, 60]]}))
    fault(capsys, tmp_path, "of frame 3 lies outside", video=video, checkpoint=checkpoint, boxes=boxes)


def test_boxes_of_another_video(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"40": [[10, 10, 30, 60]]}))
    fault(capsys, tmp_path, "its first box is on frame 40", video=video, checkpoint=checkpoint, boxes=boxes)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_numbers_mean_the_same_in_every_container(checkpoint, tmp_path, capsys, ending):
    video, boxes = tmp_path / f"clip.{ending}", tmp_path / "boxes.json"
    with VideoWriter(video, 15, (128, 96)) as writer:
        for _ in range(6):
            writer.write(np.zeros((96, 128, 3), np.uint8))
    boxes.write_text(json.dumps({"1": [[10, 10, 30, 60]], "6": [[10, 10, 30, 60]]}))
    fault(capsys, tmp_path, "--boxes_from", video=video, checkpoint=checkpoint, boxes=boxes)
    fresh()
    given = dict(video=video, checkpoint=checkpoint, boxes=boxes, output=tmp_path / "out", boxes_from=1)
    status, out, err = run(capsys, **given)
    assert status == 0 and "6 frames, 2 poses" in out and "count from 1" in out, err
    assert {line.split(",")[0] for line in (tmp_path / "out/poses.csv").read_text().splitlines()[1:]} == {"0", "5"}


def test_boxes_of_images_of_another_size(checkpoint, video, tmp_path, capsys):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("frame,image_width,image_height,x,y,w,h\n0,640,480,10,10,30,60\n")
    fault(capsys, tmp_path, "640×480, the video has 128×96", video=video, checkpoint=checkpoint, boxes=boxes)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_earlier_results(checkpoint, video, tmp_path, capsys):
    given = {"video": video, "checkpoint": checkpoint, "output": tmp_path / "out", "detector": "whole"}
    assert run(capsys, **given, max_frames=3)[0] == 0
    before = content(tmp_path / "out")
    fresh()
    status, _, err = run(capsys, **given)
    assert status == 2 and f"{tmp_path}/out" in err and "--if_exists" in err and content(tmp_path / "out") == before
    fresh()
    status, out, _ = run(capsys, **given, if_exists="number")
    assert status == 0 and f"{tmp_path}/out-2: 6 frames" in out and content(tmp_path / "out") == before
    fresh()
    status, out, _ = run(capsys, **given, if_exists="replace")
    assert status == 0 and set(content(tmp_path / "out")) == set(before)
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == 6


def test_an_earlier_result_hides_no_fault_of_what_is_read(checkpoint, video, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "poses.json").write_text("earlier")
    (tmp_path / "boxes.json").write_text("{")
    given = {"video": video, "checkpoint": checkpoint, "output": tmp_path / "out"}
    for name, value in (("video", "none.mp4"), ("checkpoint", "no-run"), ("boxes", tmp_path / "boxes.json")):
        status, _, err = run(capsys, **given | {name: value})
        assert status == 2 and str(value) in err and "--if_exists" not in err
        fresh()
    assert run(capsys, **given)[0] == 2 and content(tmp_path / "out") == {"poses.json": b"earlier"}


def test_people_come_from_one_place(checkpoint, video, tmp_path, capsys):
    given = {"video": video, "checkpoint": checkpoint}
    fault(capsys, tmp_path, "--detector=whole and --boxes=b.json", **given, detector="whole", boxes="b.json")
    fresh()
    fault(capsys, tmp_path, "--boxes_from", **given, boxes_from=1)


def test_a_url_is_named_as_it_was_given(checkpoint, tmp_path, capsys):
    url = "http://127.0.0.1:9/a.mp4"
    fault(capsys, tmp_path, f"{url}: cannot be opened", video=url, checkpoint=checkpoint)


def test_a_working_folder_with_results(checkpoint, video, tmp_path, capsys, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "poses.csv").write_text("earlier")
    monkeypatch.chdir(tmp_path / "here")
    status, out, err = run(
        capsys, video=video, checkpoint=checkpoint, output=".", detector="whole", max_frames=1, if_exists="number"
    )
    assert status == 0 and f"{tmp_path}/here-2: 1 frames" in out, err
    assert content(tmp_path / "here") == {"poses.csv": b"earlier"}


@pytest.mark.parametrize("name", ["x" * 300, "none/" + "x" * 300, "none/video.mp4", "/proc/1/root/video.mp4"])
def test_names_that_are_none(checkpoint, video, tmp_path, capsys, name):
    fault(capsys, tmp_path, "--video", video=name, checkpoint=checkpoint)
    fresh()
    fault(capsys, tmp_path, "checkpoint", video=video, checkpoint=name)


@pytest.mark.parametrize("way", ["same", "symlink", "hardlink", "folder"])
@pytest.mark.parametrize("which", ["video", "boxes"])
def test_what_is_read_is_not_replaced(checkpoint, video, tmp_path, capsys, way, which):
    out = tmp_path / "out"
    out.mkdir()
    source = tmp_path / "source"
    if which == "video":
        source.write_bytes(video.read_bytes())
        target = out / "overlay.mp4"
    else:
        source.write_text(json.dumps({"0": [[10, 10, 30, 60]]}))
        target = out / "poses.json"
    given = source
    if way == "symlink":
        target.symlink_to(source)
    elif way == "hardlink":
        target.hardlink_to(source)
    else:
        source.rename(target)
        given = target
    if way == "folder":
        (tmp_path / "link").symlink_to(out)
        given = tmp_path / "link" / target.name
    before = given.read_bytes()
    files = {"video": video, "boxes": given} if which == "boxes" else {"video": given, "detector": "whole"}
    status, _, err = run(capsys, checkpoint=checkpoint, output=out, if_exists="replace", **files)
    assert status == 2 and "would replace" in err and target.name in err
    assert given.read_bytes() == before and [path.name for path in out.iterdir()] == [target.name]


def test_a_place_that_cannot_be_written_to(checkpoint, video, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict, "from_checkpoint", lambda *a, **k: pytest.fail("the model was loaded before"))
    (tmp_path / "file").write_text("")
    for output in (
        tmp_path / "file",
        tmp_path / "file" / "below" / "it",
        "/proc/none/out",
        "x" * 300,
        "none/" + "x" * 300,
        "a\0b",
    ):
        status, _, err = run(capsys, video=video, checkpoint=checkpoint, output=output)
        assert status == 2 and err.startswith("jmpose predict: --output=") and "Traceback" not in err
        fresh()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_a_read_only_place(checkpoint, video, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    status, _, err = run(capsys, video=video, checkpoint=checkpoint, output=tmp_path / "closed" / "out")
    assert status == 2 and "cannot be written to" in err


@pytest.mark.parametrize("name,says", [("", "is empty"), ("*.mp4", "no file matches"), ("%06d.jpg", "frame_*.jpg")])
def test_what_is_no_video_file(checkpoint, tmp_path, capsys, name, says):
    (tmp_path / "frames").mkdir()
    fault(capsys, tmp_path, says, video=tmp_path / "frames" / name, checkpoint=checkpoint)


def test_a_threshold_that_is_no_number(checkpoint, video, tmp_path, capsys):
    fault(capsys, tmp_path, "--draw_threshold=nan", video=video, checkpoint=checkpoint, draw_threshold="nan")


@pytest.mark.parametrize(
    "given,says",
    [
        ({"formats": "coco,xml"}, "--formats=xml"),
        ({"draw": "ids,arrows"}, "--draw=arrows"),
        ({"overlay": "true", "no_overlay": "true"}, "--no_overlay"),
    ],
)
def test_result_files_that_are_none(checkpoint, video, tmp_path, capsys, given, says):
    fault(capsys, tmp_path, says, video=video, checkpoint=checkpoint, **given)


def test_a_run_leaves_what_it_was_asked_for(checkpoint, video, tmp_path, capsys):
    given = {"video": video, "checkpoint": checkpoint, "output": tmp_path / "out", "detector": "whole", "max_frames": 2}
    assert run(capsys, **given, formats="coco,mot", draw="none")[0] == 0
    everything = {"overlay.mp4", "report.html", "poses.json", "poses.csv", "poses.coco.json", "poses.mot.txt"}
    assert set(content(tmp_path / "out")) == everything
    (tmp_path / "out" / "notes.txt").write_text("mine")
    fresh()
    # What another run left does not stay beside results that are not of it.
    assert run(capsys, **given, no_overlay="true", report="false", if_exists="replace")[0] == 0
    assert set(content(tmp_path / "out")) == {"poses.json", "poses.csv", "notes.txt"}
    fresh()
    (tmp_path / "out" / "poses.json").unlink()
    (tmp_path / "out" / "poses.csv").rename(tmp_path / "out" / "poses.mot.txt")
    status, _, err = run(capsys, **given)
    assert status == 2 and "poses.mot.txt" in err


def test_a_form_without_its_packages(checkpoint, video, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(deeplabcut, "has_hdf5", lambda: False)
    given = {"video": video, "checkpoint": checkpoint, "output": tmp_path / "out", "detector": "whole", "max_frames": 2}
    status, out, _ = run(capsys, **given, formats="dlc")
    assert status == 0 and "poses.dlc.h5 is left out" in out and "pip install" in out
    assert "poses.dlc.csv" in content(tmp_path / "out") and "poses.dlc.h5" not in content(tmp_path / "out")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_checkpoint_that_is_not_finite(checkpoint, video, tmp_path, capsys, value):
    config, variables = load_variables(checkpoint)
    leaves, tree = jax.tree.flatten(variables)
    leaves[3] = leaves[3].at[(0,) * leaves[3].ndim].set(value)
    save_variables(tmp_path / "broken", jax.tree.unflatten(tree, leaves), config)
    name = jax.tree_util.tree_leaves_with_path(variables)[3][0][-1].key
    fault(capsys, tmp_path, f"/{name} of its", video=video, checkpoint=tmp_path / "broken")


def test_movenet_is_asked_for_in_one_way_and_got_or_the_way_out_is_said(
    checkpoint, video, tmp_path, capsys, monkeypatch
):
    fault(capsys, tmp_path, "--model=thunder are both given", video=video, checkpoint=checkpoint, model="thunder")
    fresh()
    fault(capsys, tmp_path, "--flip_test is of checkpoints", video=video, flip_test=True)
    fresh()
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(published.shutil, "which", lambda name: None)
    fault(capsys, tmp_path, "there is no npm here; fetch it elsewhere", video=video, detector="whole")
    fresh()
    # A given checkpoint is read before anything is fetched for the detector.
    fault(capsys, tmp_path, "movenet_multipose are in the npm package", video=video, checkpoint=checkpoint)


def test_movenet_estimates_without_a_checkpoint(video, tmp_path, capsys, monkeypatch):
    """With random weights in the place of the published ones: the way of the data, not the poses."""
    asked = []

    def made_up(names, say):
        asked.extend(names)
        images = np.zeros((1, 64, 64, 3), np.float32)
        models = {name: MoveNet(name.removeprefix("movenet_")) for name in names}
        shapes = {name: jax.eval_shape(model.init, jax.random.key(0), images) for name, model in models.items()}
        # As for the checkpoint above: the initialiser would have to be compiled.
        rng = np.random.default_rng(0)
        return jax.tree.map(lambda leaf: rng.uniform(-0.05, 0.05, leaf.shape).astype(leaf.dtype), shapes)

    monkeypatch.setattr(predict, "weights", made_up)
    shutil.copy(video, tmp_path / "mine.mp4")
    status, out, _ = run(capsys, video=tmp_path / "mine.mp4", detector="whole", model="lightning", max_frames=2)
    assert status == 0 and asked == ["movenet_lightning"]
    assert f"{tmp_path / 'mine_poses'}: 2 frames, 2 poses" in out  # beside the video, where no place is given
    assert (tmp_path / "mine_poses" / "overlay.mp4").is_file()


def test_a_model_of_flow(video, tmp_path, capsys):
    config = {"model": {"name": "raft", "size": "small"}, "dataset": {}}
    save_variables(tmp_path / "flow", {"params": {"x": jnp.zeros(1)}, "batch_stats": {}}, config)
    fault(capsys, tmp_path, "'raft' estimates no poses", video=video, checkpoint=tmp_path / "flow")


def test_a_workdir_of_quickstart(checkpoint, video, tmp_path, capsys):
    shutil.copytree(checkpoint, tmp_path / "work" / "jmpose")
    (tmp_path / "work" / "quickstart.json").write_text("{}")
    (tmp_path / "work/jmpose/checkpoints/0").rename(tmp_path / "work/jmpose/checkpoints/10")
    status, out, err = run(capsys, video=video, checkpoint=tmp_path / "work", output=tmp_path / "out", detector="whole")
    assert status == 0 and "6 frames" in out and "of step 10" in err and "compiling" in err


def test_lost_frames_are_named(checkpoint, video, tmp_path, capsys):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i in range(9):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    raw = bytearray(path.read_bytes())
    for start, size in (packets[3], packets[4], packets[6]):
        raw[start : start + size] = bytes(size)
    path.write_bytes(raw)
    status, out, _ = run(capsys, video=path, checkpoint=checkpoint, output=tmp_path / "out", detector="whole")
    assert status == 0 and "9 frames, 6 poses" in out and "frames 3–4, 6" in out


# Sends signals to itself at a given moment: when frame N is handed over to be drawn, or while the tables are written.
SIGNALLED = """
import os, signal, sys
from jmpose_jax.inference import pipeline
from experiments import predict
moment, number, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
calls = iter(range(1000))
def send():
    for _ in range(times):
        os.kill(os.getpid(), number)
def watched(function, at):
    def call(*arguments, **named):
        if next(calls) == at:
            send()
        return function(*arguments, **named)
    return call
if moment == "loading":
    from jmpose_jax.train import checkpoints
    checkpoints.ocp.load_checkpointables = watched(checkpoints.ocp.load_checkpointables, 0)
elif moment == "tables":
    pipeline.write_files = watched(pipeline.write_files, 0)
elif moment == "detector":
    predict.make_detector = lambda name, make=predict.make_detector: watched(make(name), 2)
else:
    pipeline.Collector.add = watched(pipeline.Collector.add, int(moment))
predict.main(["jmpose predict", *sys.argv[4:]])
"""


@pytest.mark.parametrize(
    "moment,number,times,frames",
    [("loading", 2, 2, 0), ("detector", 2, 1, 0), ("2", 2, 3, 4), ("5", 15, 2, 6), ("tables", 15, 1, 6)],
)
def test_signals(checkpoint, video, tmp_path, moment, number, times, frames):
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, moment, str(number), str(times), f"--video={video}", "--detector=whole",
         f"--checkpoint={checkpoint}", f"--output={tmp_path}/out/deep", "--batch_size=4"],
        capture_output=True, text=True, cwd=pathlib.Path(predict.__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 128 + number, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("jmpose predict: stopped by ") and "Traceback" not in done.stderr
    if not frames:
        assert "no frame was done" in last and list(tmp_path.iterdir()) == []
        return
    assert f"{frames} frames" in last
    assert sorted(content(tmp_path / "out/deep")) == ["overlay.mp4", "poses.csv", "poses.json", "report.html"]
    assert len(list(VideoReader(tmp_path / "out/deep/overlay.mp4"))) == frames
    assert len(json.loads((tmp_path / "out/deep/poses.json").read_text())["images"]) == frames


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_signals_at_any_moment(checkpoint, video, tmp_path, seed):
    rng = random.Random(seed)
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    command = subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", "predict", f"--video={video}", f"--checkpoint={checkpoint}",
         f"--output={tmp_path}/out", "--detector=whole", "--batch_size=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=pathlib.Path(predict.__file__).parents[1],
    )  # fmt: skip
    time.sleep(rng.uniform(0.0, 8.0))
    for _ in range(rng.choice([1, 1, 3])):
        command.send_signal(number)
        time.sleep(rng.uniform(0, 0.2))
    _, err = command.communicate()
    found = sorted(content(tmp_path / "out")) if (tmp_path / "out").exists() else None
    assert found in (None, ["overlay.mp4", "poses.csv", "poses.json", "report.html"]), err
    if found:
        count = len(json.loads((tmp_path / "out/poses.json").read_text())["images"])
        assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == count >= 1


def test_what_is_not_known_of_frame_numbers_is_said():
    reader = SimpleNamespace(announced_frames=60, expected_frames=60, remark="", pictures=False)
    summary = Summary(50, 0, 0, missing=8, unsure=17, jumps=((33, 2),))
    text = predict._remarks(summary, reader)
    assert "8 of them" in text and "17" in text and "before frame 33" in text
    assert predict._remarks(Summary(60, 0, 0), reader) == ""


def test_sources_of_several_kinds_in_one_run(checkpoint, video, tmp_path, capsys):
    (tmp_path / "pics").mkdir()
    for n, size in enumerate([(96, 128), (96, 128), (128, 96)]):
        Image.fromarray(np.full((*size, 3), 60, np.uint8)).save(tmp_path / "pics" / f"p{n}.png")
    place = tmp_path / "out"
    words = [str(video), str(tmp_path / "pics")]
    status, out, err = run(capsys, *words, checkpoint=checkpoint, output=place, detector="whole", formats="dlc")
    assert status == 0 and out.count("\n") == 2, err
    assert "6 frames, 6 poses, 1 tracks" in out and "3 frames, 3 poses" in out
    assert (place / video.stem / "overlay.mp4").is_file() and (place / video.stem / "report.html").is_file()
    drawn = sorted(path.name for path in (place / "pics" / "overlay").iterdir())
    assert drawn == ["p0.jpg", "p1.jpg", "p2.jpg"] and not (place / "pics" / "report.html").exists()
    content = json.loads((place / "pics" / "poses.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["p0.png", "p1.png", "p2.png"]
    with open(place / "pics" / "poses.csv", newline="") as file:
        assert {(row["frame"], row["time_s"]) for row in csv.DictReader(file)} == {("0", ""), ("1", ""), ("2", "")}


def test_a_part_keeps_the_numbers_and_times_of_the_whole(checkpoint, video, tmp_path, capsys):
    given = {"checkpoint": checkpoint, "detector": "whole", "formats": "mot,dlc"}
    status, out, err = run(capsys, str(video), output=tmp_path / "out", start=1, end=6, stride=2, **given)
    assert status == 0 and "3 frames, 3 poses" in out, err
    with open(tmp_path / "out/poses.csv", newline="") as file:
        times = {row["frame"]: float(row["time_s"]) for row in csv.DictReader(file)}
    rate = float(VideoReader(video).rate)
    assert times == {str(n): pytest.approx(n / rate, abs=1e-5) for n in (1, 3, 5)}
    assert [line.split(",")[0] for line in (tmp_path / "out/poses.mot.txt").read_text().splitlines()] == ["2", "4", "6"]
    rows = (tmp_path / "out/poses.dlc.csv").read_text().splitlines()[4:]
    assert [row.split(",")[0] for row in rows] == ["1", "3", "5"]
    first = next(VideoReader(tmp_path / "out/overlay.mp4").frames())
    assert first.time == 0
    fresh()
    fault(capsys, tmp_path / "again", "--start=6", video=video, start=6, **given)
    fresh()
    fault(capsys, tmp_path / "again", "--end=1", video=video, end="1", start="3", **given)


def test_people_are_looked_for_less_often_where_that_is_asked_for(checkpoint, video, tmp_path, capsys, monkeypatch):
    looked = []

    def detector(name):
        def find(index, image):
            looked.append(index)
            return Detections(np.array([[10, 10, 30, 60]], np.float32), np.array([0.9], np.float32))

        return find

    monkeypatch.setattr(predict, "make_detector", detector)
    given = {"checkpoint": checkpoint, "video": video, "detector": "hog"}
    status, out, err = run(capsys, output=tmp_path / "out", detect_every=4, **given)
    assert status == 0 and "6 frames, 6 poses, 1 tracks" in out and looked == [0, 4, 5], err
    fresh()
    looked.clear()
    status, out, err = run(capsys, output=tmp_path / "sparse", estimate_every=5, refine="gaussian", **given)
    assert "1 tracks, 2 frames estimated and 4 between, refined by" in out and looked == [0, 5], err
    fresh()
    fault(capsys, tmp_path / "none", "--detector=whole", **given | {"detector": "whole"}, detect_every=2)


def test_poses_are_refined_in_all_files_and_the_overlay(checkpoint, video, tmp_path, capsys):
    given = {"video": video, "checkpoint": checkpoint, "detector": "whole"}
    assert run(capsys, **given, output=tmp_path / "plain")[0] == 0
    fresh()
    status, out, err = run(capsys, **given, output=tmp_path / "refined", refine="gaussian")
    assert status == 0 and "refined by gaussian; jitter" in out and "6 frames, 6 poses" in out, err
    (before,), (after,) = (read_poses(tmp_path / name / "poses.json").tracks for name in ("plain", "refined"))
    expected, _ = refine_track(before, 15.0, Gaussian())
    np.testing.assert_allclose(after.poses, expected.poses, atol=1e-3)
    assert np.abs(after.poses - before.poses)[np.isfinite(before.poses)].max() > 0.01
    frames = [list(VideoReader(tmp_path / name / "overlay.mp4")) for name in ("plain", "refined")]
    assert len(frames[1]) == 6 and any(np.abs(a.astype(int) - b).max() > 60 for a, b in zip(*frames))
    table = read_poses(tmp_path / "refined" / "poses.csv").tracks[0]
    np.testing.assert_allclose(table.frames, after.frames)


def test_a_network_of_sequences_refines_what_lies_between(checkpoint, video, tmp_path, capsys):
    options = {"window": 4, "hidden": 8, "residual_hidden": 4, "blocks": 1}
    variables = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(SmoothNet(**options).init, jax.random.key(0), jnp.zeros((1, 4, 30))),
    )
    data = {"joints": 15, "dimensions": 2, "coordinates": "person"}
    save_variables(tmp_path / "net", variables, {"model": {"name": "smoothnet"} | options, "dataset": data})
    given = {"video": video, "checkpoint": checkpoint, "detector": "whole", "estimate_every": 4}
    status, out, err = run(capsys, **given, output=tmp_path / "out", refine=tmp_path / "net")
    assert status == 0 and "3 frames estimated and 3 between, refined by smoothnet; jitter" in out, err
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert content["estimated_frames"] == [0, 4, 5] and len(content["annotations"]) == 6
    assert [entry.get("interpolated", False) for entry in content["annotations"]] == [False, *[True] * 3, False, False]
    fresh()
    data["joints"] = 17
    save_variables(tmp_path / "other", variables, {"model": {"name": "smoothnet"} | options, "dataset": data})
    fault(capsys, tmp_path / "none", "--refine=", **given, refine=tmp_path / "other")


def test_what_cannot_be_refined_over_time():
    camera = SimpleNamespace(name="camera0", related=True, inputs=())
    predict._check_refined("savgol", [camera], overlay=False)
    predict._check_refined(None, [camera], overlay=True)
    with pytest.raises(InputError, match="read once.*--no_overlay"):
        predict._check_refined("savgol", [camera], overlay=True)
    pictures = SimpleNamespace(name="shots", related=False, inputs=("a.jpg",))
    with pytest.raises(InputError, match="shots is no video"):
        predict._check_refined("savgol", [pictures], overlay=False)

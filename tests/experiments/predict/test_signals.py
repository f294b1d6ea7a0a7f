"""`jmpose predict` stopped by Ctrl-C and SIGTERM."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from experiments import predict
from jmpose_jax.inference.video.reader import VideoReader
from tests.experiments.predict.command import content

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

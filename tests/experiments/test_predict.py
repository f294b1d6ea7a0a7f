"""`jmpose predict` from a checkpoint on disk, and its faults."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

from experiments import predict
from jmpose_jax.inference.video import VideoReader, VideoWriter
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.checkpoints import save_variables

BACKBONE = {
    "width": 8, "num_joints": 15, "stem_features": (8, 8), "stem_block": "basic", "stem_blocks": 1,
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


def run(capsys, **values):
    """Status, standard output and standard error of the command."""
    try:
        predict.main(["jmpose predict", *(f"--{name}={value}" for name, value in values.items())])
        status = 0
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.fixture(autouse=True)
def fresh_flags():
    """A command defines its flags when it is called, once in a process; take them away for the next call."""
    yield
    for module in ("experiments.predict", "experiments.outputs"):
        for flag in flags.FLAGS.flags_by_module_dict().get(module, [])[:]:
            delattr(flags.FLAGS, flag.name)


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


def test_video_is_needed(checkpoint, tmp_path, capsys):
    fault(capsys, tmp_path, "--video is missing", checkpoint=checkpoint)


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

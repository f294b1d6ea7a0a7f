"""What `jmpose predict` leaves and says, from a checkpoint on disk."""

import csv
import json
import shutil

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import predict
from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.outputs import deeplabcut
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.models import MoveNet
from jmpose_jax.models.sequences.smoothnet import SmoothNet
from jmpose_jax.pose_files.reader import read_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_track
from jmpose_jax.train.checkpoints import save_variables
from tests.experiments.predict.command import content, fault, fresh, run


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


def test_a_working_folder_with_results(checkpoint, video, tmp_path, capsys, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "poses.csv").write_text("earlier")
    monkeypatch.chdir(tmp_path / "here")
    status, out, err = run(
        capsys, video=video, checkpoint=checkpoint, output=".", detector="whole", max_frames=1, if_exists="number"
    )
    assert status == 0 and f"{tmp_path}/here-2: 1 frames" in out, err
    assert content(tmp_path / "here") == {"poses.csv": b"earlier"}


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
    status, out, _ = run(capsys, video=tmp_path / "mine.mp4", detector="whole", model="movenet_lightning", max_frames=2)
    assert status == 0 and asked == ["movenet_lightning"]
    assert f"{tmp_path / 'mine_poses'}: 2 frames, 2 poses" in out  # beside the video, where no place is given
    assert (tmp_path / "mine_poses" / "overlay.mp4").is_file()


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

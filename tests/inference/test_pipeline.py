"""The whole of prediction on small videos, and the files that it leaves."""

import csv
import json
from fractions import Fraction

import av
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections, make_detector
from jmpose_jax.inference.estimate import to_image
from jmpose_jax.inference.pipeline import predict_video
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.results import Results
from jmpose_jax.inference.tracking.tracker import TrackingOptions
from jmpose_jax.inference.video.reader import VideoReader
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.skeletons import COCO17
from tests.inference.walk import detect, middle, place


def test_options_of_tracking(predictor, video, tmp_path):
    def flash(index, image):
        found = detect(index, image)
        if index != 5:
            return found
        return Detections(
            np.append(found.boxes, [[120, 5, 20, 40]], 0).astype(np.float32), np.append(found.scores, 0.8)
        )

    for options, expected in (
        (TrackingOptions(), (11, 20, 3)),
        (TrackingOptions(min_track_length=2), (11, 19, 2)),
        (TrackingOptions(max_people=1), (11, 11, 1)),
        (TrackingOptions(min_box_score=0.6), (11, 12, 2)),
        (TrackingOptions(min_box_score=0.6, min_track_length=2), (11, 11, 1)),
    ):
        summary = predict_video(predictor, video, tmp_path / "out", flash, tracking=options)
        assert (summary.frames, summary.persons, summary.tracks) == expected
        content = json.loads((tmp_path / "out/poses.json").read_text())
        assert sorted({a["track_id"] for a in content["annotations"]}) == list(range(expected[2]))
        assert all(0 <= a["track_score"] <= 1 for a in content["annotations"])
    with open(tmp_path / "out/poses.csv", newline="") as file:
        assert all(0 < float(row["track_score"]) <= 1 for row in csv.DictReader(file))


def test_every_nth_frame_is_estimated_and_the_others_lie_between(predictor, video, tmp_path):
    seen = []

    def noting(index, image):
        seen.append(index)
        return detect(index, image)

    summary = predict_video(predictor, video, tmp_path / "out", noting, estimate_every=4)
    assert seen == [0, 4, 8, 10] and (summary.frames, summary.estimated, summary.tracks) == (11, 4, 2)
    # The second person is seen in frame 10 alone of these.
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert content["estimated_frames"] == seen and len(content["annotations"]) == 12
    for entry in content["annotations"]:
        assert entry.get("interpolated", False) == (entry["image_id"] not in seen)
        if entry["track_id"] == 0:
            x, y = place(entry["image_id"])
            np.testing.assert_allclose(entry["keypoints"][:2], [x + 10, y + 20], atol=1e-3)
            np.testing.assert_allclose(entry["bbox"], [x, y, 20, 40], atol=1e-3)
    with open(tmp_path / "out/poses.csv", newline="") as file:
        marks = {(row["frame"], row["interpolated"]) for row in csv.DictReader(file)}
    assert marks == {(str(frame), str(int(frame not in seen))) for frame in range(11)}
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == 11


def test_files(predictor, video, tmp_path):
    reported = []
    summary = predict_video(
        predictor, video, tmp_path / "out", detect, report=lambda poses: reported.append(poses.index)
    )
    assert (summary.frames, summary.persons, summary.tracks) == (11, 19, 2)
    assert reported == list(range(11))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "overlay.mp4",
        "poses.csv",
        "poses.json",
        "report.html",
    ]
    drawn = list(VideoReader(tmp_path / "out/overlay.mp4"))
    assert len(drawn) == 11 and drawn[0].shape == (120, 160, 3)
    original = list(VideoReader(video))
    assert np.abs(drawn[5].astype(int) - original[5]).max() > 60
    sequence = read_sequence(tmp_path / "out/poses.json")
    assert sequence.num_frames == 11 and sequence.num_persons == 19
    np.testing.assert_array_equal(np.unique(sequence.track_ids), [0, 1])
    with open(tmp_path / "out/poses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 19 * 15 and rows[-1]["frame"] == "10"


def test_ids_of_a_posetrack_file_are_kept(predictor, video, tmp_path):
    images = [{"id": 10128340000 + i, "file_name": f"images/val/012834_mpii_test/{i:06d}.jpg"} for i in range(11)]
    predict_video(predictor, video, tmp_path / "out", detect, images=dict(enumerate(images)), max_frames=5)
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert content["images"] == images[:5]
    predict_video(predictor, video, tmp_path / "other", detect, images={4: images[4]})
    content = json.loads((tmp_path / "other/poses.json").read_text())
    assert content["images"][4] == images[4]
    assert len({image["id"] for image in content["images"]}) == len(content["images"]) == 11


def test_a_sparse_list_of_images_keeps_its_frames(predictor, video, tmp_path):
    known = {frame: {"id": 500 + frame, "file_name": f"v/{frame:06d}.jpg"} for frame in (8, 0, 4)}
    predict_video(predictor, video, tmp_path / "out", detect, images=known)
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert [image["id"] for image in content["images"]] == list(range(500, 511))
    assert all(content["images"][frame] == entry for frame, entry in known.items())
    with open(tmp_path / "out/poses.csv", newline="") as file:
        assert {row["frame"] for row in csv.DictReader(file)} == {str(frame) for frame in range(11)}


def test_nobody_in_the_video(predictor, video, tmp_path):
    summary = predict_video(predictor, video, tmp_path / "out", lambda index, image: Detections.empty())
    assert (summary.frames, summary.persons) == (11, 0)
    assert json.loads((tmp_path / "out/poses.json").read_text())["annotations"] == []


def test_a_lost_frame_has_a_place_and_no_poses(predictor, make_video, tmp_path):
    path = make_video("walk.mp4", 11, codec="mjpeg", pixels="yuvj420p")
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][6]
        start, size = packet.pos, packet.size
    raw = bytearray(path.read_bytes())
    raw[start : start + size] = bytes(size)
    path.write_bytes(raw)
    summary = predict_video(predictor, path, tmp_path / "out", make_detector("whole"))
    assert (summary.frames, summary.persons, summary.lost) == (11, 10, (6,)) and summary.complete
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert [image["id"] for image in content["images"]] == list(range(11)) and content["lost_frames"] == [6]
    assert [annotation["image_id"] for annotation in content["annotations"]] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
    with open(tmp_path / "out/poses.csv", newline="") as file:
        assert {int(row["frame"]) for row in csv.DictReader(file)} == set(range(11)) - {6}
    drawn = list(VideoReader(tmp_path / "out/overlay.mp4").frames())
    assert len(drawn) == 11 and float(drawn[-1].time) == pytest.approx(10 / 30, abs=1e-3)
    assert np.abs(drawn[6].image.astype(int) - drawn[5].image).max() > 60  # it says so


def test_the_overlay_keeps_the_times(predictor, make_video, tmp_path):
    times = [0, 33, 66, 150, 151, 400, 1433]
    path = make_video("v.mkv", 7, times=times, time_base=Fraction(1, 1000))
    predict_video(predictor, path, tmp_path / "out", make_detector("whole"))
    assert [frame.time * 1000 for frame in VideoReader(tmp_path / "out/overlay.mp4").frames()] == times
    with open(tmp_path / "out/poses.csv", newline="") as file:
        assert list(dict.fromkeys(float(row["time_s"]) for row in csv.DictReader(file))) == [t / 1000 for t in times]


def test_all_joints_of_the_model_are_kept(video, tmp_path):
    def line(variables, batch):
        """COCO's 17 joints beside one another; the score is the joint's number over 20."""
        points = np.broadcast_to(np.stack([np.arange(17.0), np.full(17, 9.0)], -1), (batch.frames.shape[0], 17, 2))
        return to_image(points, batch.transform), np.arange(17) / 20 + 0 * batch.box_score[:, None]

    model = Predictor(line, {}, input_size=(64, 48), delta=0, skeleton="coco17", batch_size=4)
    predict_video(model, video, tmp_path / "out", detect, results=Results(formats=("coco",)))
    with open(tmp_path / "out/poses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["joint"] for row in rows[:17]] == list(COCO17.joints)
    assert [float(row["score"]) for row in rows[:17]] == pytest.approx(np.arange(17) / 20)
    names = json.loads((tmp_path / "out/poses.json").read_text())["categories"][0]["keypoints"]
    first = json.loads((tmp_path / "out/poses.json").read_text())["annotations"][0]
    ear = names.index("left_ear")
    assert first["keypoints"][3 * ear : 3 * ear + 2] == pytest.approx(
        [float(rows[3]["x"]), float(rows[3]["y"])], abs=1e-3
    )
    assert first["box_score"] == pytest.approx(0.9)


def test_which_files_are_left(predictor, video, tmp_path):
    predict_video(
        predictor, video, tmp_path / "a", detect, results=Results(overlay=False, page=False, formats=("mot", "coco"))
    )
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        "poses.json", "poses.csv", "poses.coco.json", "poses.mot.txt"
    }  # fmt: skip
    predict_video(predictor, video, tmp_path / "b", detect, results=Results(overlay=False))
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"poses.json", "poses.csv", "report.html"}


def test_joints_below_the_threshold_are_not_drawn(video, tmp_path):
    def unsure(variables, batch):
        points, scores = middle(variables, batch)
        return points, 0 * scores + 0.29

    model = Predictor(unsure, {}, input_size=(64, 48), delta=0, batch_size=4)
    for name, options in (("hidden", Results(draw=())), ("shown", Results(draw=(), draw_threshold=0.28))):
        predict_video(model, video, tmp_path / name, detect, max_frames=1, results=options)
    hidden, shown = (next(iter(VideoReader(tmp_path / name / "overlay.mp4"))) for name in ("hidden", "shown"))
    original = next(iter(VideoReader(video))).astype(int)
    assert np.abs(hidden - original).max() < 40 < np.abs(shown - original).max()


def test_a_change_of_size(predictor, make_video, tmp_path):
    parts = [make_video("a.ts", 6).read_bytes(), make_video("b.ts", 6, size=(192, 128)).read_bytes()]
    (tmp_path / "v.ts").write_bytes(b"".join(parts))
    summary = predict_video(predictor, tmp_path / "v.ts", tmp_path / "out", make_detector("whole"))
    assert summary.rescaled == tuple((i, (192, 128)) for i in range(6, 12))
    table = BoxTable({0: Detections(np.array([[5, 5, 20, 20]], np.float32), np.ones(1, np.float32))}, "boxes.json")
    with pytest.raises(InputError, match="frame 6 of the video is 192×128"):
        predict_video(predictor, tmp_path / "v.ts", tmp_path / "boxes", table)
    assert not (tmp_path / "boxes").exists()

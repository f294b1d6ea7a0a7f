"""The whole of prediction on small videos with a model that can be checked: a bright square is the person."""

import csv
import errno
import json
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

from jmpose_jax.errors import InputError, NoSpace
from jmpose_jax.inference import pipeline
from jmpose_jax.inference.detectors import BoxTable, Detections, make_detector
from jmpose_jax.inference.estimate import to_image
from jmpose_jax.inference.pipeline import NothingDone, estimate_poses, predict_video
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.video import VideoReader, VideoWriter
from jmpose_jax.metrics.reading import read_sequence

SIZE = (160, 120)


def place(i):
    """Left upper corner of the first person in frame i; the second one walks the other way."""
    return 10 + 2 * i, 40


def frames(count):
    for i in range(count):
        frame = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
        x, y = place(i)
        frame[y : y + 40, x : x + 20] = (220, 200, 180)
        yield frame


def detect(index, image):
    x, y = place(index)
    boxes = np.array([[100 - index, 60, 20, 40], [x, y, 20, 40]], np.float32)
    keep = slice(0, 2) if index % 4 else slice(1, 2)  # the second person is seen in three frames of four
    return Detections(boxes[keep], np.array([0.5, 0.9], np.float32)[keep])


def middle(variables, batch):
    """All joints in the middle of the crop; the score is that of the box."""
    centre = np.array([batch.frames.shape[3] / 2, batch.frames.shape[2] / 2], np.float32)
    points = np.broadcast_to(centre, (batch.frames.shape[0], 15, 2))
    return to_image(points, batch.transform), batch.box_score[:, None] + np.zeros((1, 15), np.float32)


@pytest.fixture
def predictor():
    return Predictor(middle, {}, input_size=(64, 48), delta=2, flow_source="none", batch_size=4)


@pytest.fixture
def video(tmp_path):
    with VideoWriter(tmp_path / "walk.mp4", 10, SIZE) as writer:
        for frame in frames(11):
            writer.write(frame)
    return tmp_path / "walk.mp4"


def test_poses_and_identities_in_order(predictor):
    found = list(estimate_poses(frames(11), predictor, detect))
    assert [poses.index for poses in found] == list(range(11))
    for poses in found:
        x, y = place(poses.index)
        expected = [[110 - poses.index, 80]] * (poses.index % 4 > 0) + [[x + 10, y + 20]]
        np.testing.assert_allclose(poses.keypoints[:, 7], expected, atol=1e-3)
        np.testing.assert_allclose(poses.scores[:, 0], [0.5, 0.9][-len(expected) :])
        assert poses.track_ids[-1] == 0
        assert poses.image[y + 5, x + 5, 0] == 220  # the picture of the same frame
    assert {int(poses.track_ids[0]) for poses in found if poses.index % 4} == {1}


def test_files(predictor, video, tmp_path):
    reported = []
    summary = predict_video(
        predictor, video, tmp_path / "out", detect, report=lambda poses: reported.append(poses.index)
    )
    assert (summary.frames, summary.persons, summary.tracks) == (11, 19, 2)
    assert reported == list(range(11))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["overlay.mp4", "poses.csv", "poses.json"]
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
        assert all(int(row["image_id"]) == 500 + int(row["frame"]) for row in csv.DictReader(file))


def test_nobody_in_the_video(predictor, video, tmp_path):
    summary = predict_video(predictor, video, tmp_path / "out", lambda index, image: Detections.empty())
    assert (summary.frames, summary.persons) == (11, 0)
    assert json.loads((tmp_path / "out/poses.json").read_text())["annotations"] == []


def test_a_fault_on_the_way_leaves_nothing(predictor, video, tmp_path):
    def faulty(index, image):
        if index == 6:
            raise InputError("box of frame 6 lies outside")
        return detect(index, image)

    with pytest.raises(InputError, match="frame 6"):
        predict_video(predictor, video, tmp_path / "out" / "deep", faulty)
    assert not (tmp_path / "out").exists()


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


def test_a_change_of_size(predictor, make_video, tmp_path):
    parts = [make_video("a.ts", 6).read_bytes(), make_video("b.ts", 6, size=(192, 128)).read_bytes()]
    (tmp_path / "v.ts").write_bytes(b"".join(parts))
    summary = predict_video(predictor, tmp_path / "v.ts", tmp_path / "out", make_detector("whole"))
    assert summary.rescaled == tuple((i, (192, 128)) for i in range(6, 12))
    table = BoxTable({0: Detections(np.array([[5, 5, 20, 20]], np.float32), np.ones(1, np.float32))}, "boxes.json")
    with pytest.raises(InputError, match="frame 6 of the video is 192×128"):
        predict_video(predictor, tmp_path / "v.ts", tmp_path / "boxes", table)
    assert not (tmp_path / "boxes").exists()


@pytest.mark.parametrize("asked", [1, 2, 5, 9, 12, 14, 20])
def test_a_stop_ends_the_files_with_what_is_done(predictor, video, tmp_path, asked):
    questions = iter(range(100))
    try:
        summary = predict_video(predictor, video, tmp_path / "out", detect, stop=lambda: next(questions) >= asked - 1)
    except NothingDone:
        assert not (tmp_path / "out").exists() and asked < 5
        return
    assert 0 < summary.frames <= 11 and summary.complete == (summary.frames == 11)
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == summary.frames
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert len(content["images"]) == summary.frames and len(content["annotations"]) == summary.persons
    assert len((tmp_path / "out/poses.csv").read_text().splitlines()) == 1 + 15 * summary.persons
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of", ["keypoints", "scores"])
def test_what_is_not_finite_is_never_written(video, tmp_path, value, of):
    def broken(variables, batch):
        keypoints, scores = middle(variables, batch)
        return (keypoints * value, scores) if of == "keypoints" else (keypoints, scores * value)

    model = Predictor(broken, {}, input_size=(64, 48), delta=0, batch_size=4)
    with pytest.raises(InputError, match="person 0 in frame 0 are not finite"):
        predict_video(model, video, tmp_path / "out", detect)
    assert not (tmp_path / "out").exists()


def test_no_room_for_the_tables(predictor, video, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(pipeline, "write_csv", full)
    with pytest.raises(NoSpace, match="out: no room"):
        predict_video(predictor, video, tmp_path / "out", detect)
    assert not (tmp_path / "out").exists()


def test_earlier_results_stay_where_new_ones_fail(predictor, video, tmp_path):
    predict_video(predictor, video, tmp_path / "out", detect)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def faulty(index, image):
        raise InputError("box")

    with pytest.raises(InputError):
        predict_video(predictor, video, tmp_path / "out", faulty)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_memory_does_not_grow_with_the_video(predictor):
    def peak(count):
        tracemalloc.start()
        for _ in estimate_poses(frames(count), predictor, detect):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)  # whatever is allocated once
    short, long = peak(20), peak(200)
    assert long < 1.2 * short + 100_000

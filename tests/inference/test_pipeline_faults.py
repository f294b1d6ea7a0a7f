"""Prediction that is stopped, fails, or is slow in one part: all files or none, and the same ones."""

import errno
import json
import threading
import time

import numpy as np
import pytest

from jmpose_jax.errors import InputError, NoSpace
from jmpose_jax.inference import pipeline
from jmpose_jax.inference.pipeline import NothingDone, predict_video
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from tests.inference.walk import detect, middle


def test_a_fault_on_the_way_leaves_nothing(predictor, video, tmp_path):
    def faulty(index, image):
        if index == 6:
            raise InputError("box of frame 6 lies outside")
        return detect(index, image)

    with pytest.raises(InputError, match="frame 6"):
        predict_video(predictor, video, tmp_path / "out" / "deep", faulty)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("asked", [1, 2, 5, 9, 12, 14, 20])
def test_a_stop_ends_the_files_with_what_is_done(predictor, video, tmp_path, asked):
    questions = iter(range(100))
    try:
        summary = predict_video(predictor, video, tmp_path / "out", detect, stop=lambda: next(questions) >= asked - 1)
    except NothingDone:
        # Three frames fill the first batch; people may have been looked for on some more, each asked about.
        assert not (tmp_path / "out").exists() and asked <= 4 + pipeline.AHEAD + 1
        return
    assert 0 < summary.frames <= 11 and summary.complete == (summary.frames == 11)
    assert len(list(VideoReader(tmp_path / "out/overlay.mp4"))) == summary.frames
    content = json.loads((tmp_path / "out/poses.json").read_text())
    assert len(content["images"]) == summary.frames and len(content["annotations"]) == summary.persons
    assert len((tmp_path / "out/poses.csv").read_text().splitlines()) == 1 + 15 * summary.persons
    assert len(list((tmp_path / "out").iterdir())) == 4


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
    def full(*arguments, **named):
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(pipeline, "write_files", full)
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


@pytest.mark.parametrize("slow", ["reading", "detection", "estimation", "writing"])
def test_results_are_the_same_whatever_is_slow(predictor, video, tmp_path, monkeypatch, slow):
    predict_video(predictor, video, tmp_path / "fast", detect)
    places = {
        "reading": (VideoReader, "frames"),
        "detection": (pipeline.Seen, "boxes"),
        "estimation": (Predictor, "predict"),
        "writing": (VideoWriter, "write"),
    }
    owner, name = places[slow]
    original = getattr(owner, name)
    if slow == "reading":

        def slowly(self):
            for frame in original(self):
                time.sleep(0.005)
                yield frame

        monkeypatch.setattr(owner, name, slowly)
    else:
        monkeypatch.setattr(owner, name, lambda *arguments: (time.sleep(0.01), original(*arguments))[1])
    predict_video(predictor, video, tmp_path / "slow", detect)
    for path in (tmp_path / "fast").iterdir():
        assert path.read_bytes() == (tmp_path / "slow" / path.name).read_bytes(), path.name


def test_no_room_while_frames_are_written_leaves_nothing(predictor, video, tmp_path, monkeypatch):
    write = VideoWriter.write

    def full(self, frame, time=None):
        if self.frames == 3:
            raise NoSpace("overlay.mp4: no room for it")
        write(self, frame, time)

    monkeypatch.setattr(VideoWriter, "write", full)
    with pytest.raises(NoSpace, match="no room for it"):
        predict_video(predictor, video, tmp_path / "out", detect)
    assert list(tmp_path.iterdir()) == [video]
    assert not [thread for thread in threading.enumerate() if thread.name in ("ahead", "behind")]


def test_a_source_that_fails_on_the_way_leaves_nothing(predictor, video, tmp_path):
    class Failing(VideoReader):
        def frames(self):
            for number, frame in enumerate(super().frames()):
                if number == 5:
                    raise InputError("walk.mp4: the fifth frame is missing")
                yield frame

    with pytest.raises(InputError, match="the fifth frame"):
        predict_video(predictor, Failing(video), tmp_path / "out", detect)
    assert list(tmp_path.iterdir()) == [video]

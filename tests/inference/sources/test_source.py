"""What a word that a user gives stands for."""

import numpy as np
import pytest
from PIL import Image

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources import live
from jmpose_jax.inference.sources.images import Images
from jmpose_jax.inference.sources.source import open_sources
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pics").mkdir()
    for n in (1, 2):
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / "pics" / f"p{n}.jpg")
        with VideoWriter(tmp_path / f"v{n}.mp4", 10, (32, 24)) as writer:
            writer.write(np.zeros((24, 32, 3), np.uint8))
    return tmp_path


def kinds(sources):
    return [(type(source), source.name) for source in sources]


def test_words_of_every_kind(folder):
    found = open_sources([str(folder / "v1.mp4"), str(folder / "pics"), str(folder / "pics" / "p1.jpg")])
    assert kinds(found) == [(VideoReader, "v1"), (Images, "pics"), (Images, "p1")]
    assert found[0].place == folder / "v1_poses" and found[2].place == folder / "pics" / "p1_poses"
    assert kinds(open_sources([str(folder / "v?.mp4")])) == [(VideoReader, "v1"), (VideoReader, "v2")]
    (pattern,) = open_sources([str(folder / "pics" / "*.jpg")])
    assert pattern.expected_frames == 2 and pattern.related


def test_a_pattern_leaves_earlier_overlays_out_and_counts_them(folder):
    for name in ("pics/pics_poses/overlay/p1.jpg", "pics/pics_poses/overlay/p2.jpg", "v1_poses/overlay.mp4"):
        overlay = folder / name
        overlay.parent.mkdir(parents=True, exist_ok=True)
        overlay.write_bytes((folder / ("v1.mp4" if overlay.suffix == ".mp4" else "pics/p1.jpg")).read_bytes())
    mine = folder / "pics" / "mine" / "overlay.jpg"  # no poses lie beside it
    mine.parent.mkdir()
    mine.write_bytes((folder / "pics" / "p1.jpg").read_bytes())
    for results in ("pics/pics_poses", "v1_poses"):
        for name in ("poses.json", "poses.csv"):
            (folder / results / name).write_text("")
    (pictures,) = open_sources([str(folder / "**" / "*.jpg")])
    assert [path.name for path in pictures.inputs] == ["overlay.jpg", "p1.jpg", "p2.jpg"]
    assert pictures.remark == "; overlays of earlier results are not read: 2"
    videos = open_sources([str(folder / "**" / "*.mp4")])
    assert [video.name for video in videos] == ["v1", "v2"] and videos[0].remark.endswith("not read: 1")
    (asked,) = open_sources([str(folder / "pics/pics_poses/overlay/*.jpg")])
    assert len(asked.inputs) == 2 and asked.remark == ""


def test_pictures_side_by_side_are_one_source(folder):
    words = [folder / "pics" / "p2.jpg", folder / "pics" / "p1.jpg", folder / "v1.mp4"]
    pictures, video = open_sources([str(word) for word in words])
    assert [frame.name for frame in pictures.frames()] == ["p1.jpg", "p2.jpg"]
    assert isinstance(video, VideoReader)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("none.mp4", "no such file"),
        ("*.png", "no file matches"),
        ("pics/../*", "narrow the pattern"),
        ("frame_%04d.jpg", r"frame_\*.jpg"),
        ("empty", "empty"),
    ],
)
def test_what_is_nothing_is_named(folder, word, says):
    (folder / "empty").mkdir()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(folder / "one.jpg")
    with pytest.raises(InputError, match=says) as fault:
        open_sources([str(folder / word)], "source")
    assert str(folder) in str(fault.value) and "\n" not in str(fault.value)


@pytest.mark.parametrize("word", ["²", "99999999999999"])
def test_numbers_that_are_no_cameras(word):
    with pytest.raises(InputError, match="no such file"):
        open_sources([word])


@pytest.mark.parametrize("word", ["", " "])
def test_an_empty_word_is_not_the_working_folder(word):
    with pytest.raises(InputError, match="no name"):
        open_sources([word])


def test_a_camera_that_is_not_there(monkeypatch):
    with pytest.raises(InputError, match="camera 97"):
        open_sources(["97"])
    monkeypatch.setattr(live, "PATIENCE", 2.0)
    with pytest.raises(InputError, match=r"http://…@127.0.0.1:9/a.mp4: cannot be opened"):
        open_sources(["http://user:word@127.0.0.1:9/a.mp4"])

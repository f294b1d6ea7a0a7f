"""Video in and out: frames, size, rate; broken files; nothing half-written."""

import itertools

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video import VideoReader, VideoWriter, mp4_codecs


def frames(count, size=(64, 48)):
    for i in range(count):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[:, : size[0] // 2] = (20 + 8 * i, 40, 200)
        frame[:, size[0] // 2 :] = (200, 200 - 8 * i, 30)
        yield frame


@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
def test_round_trip(tmp_path, size):
    path = tmp_path / "folder" / "v.mp4"
    with VideoWriter(path, 12.5, size) as writer:
        for frame in frames(10, size):
            writer.write(frame)
    assert [p.name for p in path.parent.iterdir()] == ["v.mp4"]
    reader = VideoReader(path)
    assert reader.fps == pytest.approx(12.5, abs=0.01) and reader.announced_frames == 10
    assert reader.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    for _ in range(2):  # a reader can be gone through again
        read = list(reader)
        assert len(read) == 10
        for found, written in zip(read, frames(10, size)):
            difference = np.abs(found[: size[1], : size[0]].astype(int) - written)
            assert np.median(difference) < 6  # and red is not blue
    assert len(list(itertools.islice(reader, 3))) == 3


def test_an_exception_leaves_nothing(tmp_path):
    path = tmp_path / "v.mp4"
    with pytest.raises(RuntimeError), VideoWriter(path, 10, (64, 48)) as writer:
        writer.write(next(frames(1)))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="a frame of 32×48"), VideoWriter(path, 10, (64, 48)) as writer:
        writer.write(np.zeros((48, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_unreadable(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        VideoReader(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="text.mp4: cannot be opened"):
        VideoReader(tmp_path / "text.mp4")
    with VideoWriter(tmp_path / "empty.mp4", 10, (64, 48)):
        pass
    with pytest.raises(InputError, match=r"empty.mp4: (holds no frame|cannot be opened)"):
        VideoReader(tmp_path / "empty.mp4")


def test_truncated_video_gives_the_frames_it_has(tmp_path, shared):
    whole = (shared / "data/videos/vtest.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 40])
    reader = VideoReader(tmp_path / "cut.avi")
    assert 0 < sum(1 for _ in reader) < 100


def test_codecs():
    assert mp4_codecs()["mp4v"] is True

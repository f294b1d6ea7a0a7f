"""Video out: any frame rate and size, times as given, read back, and nothing left of what cannot be written."""

import errno
import resource
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from jmpose_jax.errors import InputError, NoSpace
from jmpose_jax.inference.video import writer as video_writer
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter, mp4_codecs
from jmpose_jax.inference.video.writer import rational


def frames(count, size=(64, 48)):
    for i in range(count):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[:, : size[0] // 2] = (20 + 8 * i, 40, 200)
        frame[:, size[0] // 2 :] = (200, 200 - 8 * i, 30)
        yield frame


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
@pytest.mark.parametrize("size", [(64, 48), (65, 47), (1, 1)])
def test_round_trip(tmp_path, size, encoder):
    path = tmp_path / "folder" / "v.mp4"
    with VideoWriter(path, 12.5, size, encoder=encoder) as writer:
        for frame in frames(10, size):
            writer.write(frame)
    assert [p.name for p in path.parent.iterdir()] == ["v.mp4"]
    reader = VideoReader(path)
    assert reader.fps == 12.5 and reader.announced_frames == 10
    assert reader.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    read = list(reader)
    assert len(read) == 10
    for found, written in zip(read, frames(10, size)):
        difference = np.abs(found[: size[1], : size[0]].astype(int) - written)
        assert size == (1, 1) or np.median(difference) < 6  # and red is not blue


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
@pytest.mark.parametrize(
    "fps", [119.8834, 1200, 23.976, 0.5, 24000 / 1001, Fraction(240000, 1001), 59.94005994, 1e-3, 1000.5, 7, 90000]
)
def test_any_rate(tmp_path, fps, encoder):
    if fps == 90000 and encoder == "mpeg4":
        pytest.skip("that form has 65535 ticks a second at most")
    with VideoWriter(tmp_path / "v.mp4", fps, (64, 48), encoder=encoder) as writer:
        for frame in frames(12):
            writer.write(frame)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        duration = float(stream.duration * stream.time_base)
        assert stream.frames == 12 and float(stream.average_rate) == pytest.approx(float(fps), rel=1e-3)
    assert duration == pytest.approx(12 / float(fps), rel=1e-3, abs=2 / 60000)
    capture, count = cv2.VideoCapture(str(tmp_path / "v.mp4")), 0
    while capture.read()[0]:
        count += 1
    assert count == 12


def test_rates_are_fractions():
    assert rational(23.976023976) == rational(24000 / 1001) == Fraction(24000, 1001)
    assert rational(119.8834) == Fraction(599417, 5000) and rational(25.0) == 25 and rational(0.5) == Fraction(1, 2)
    for fps in (0, -1, float("nan"), float("inf")):
        assert rational(fps) == 0


@pytest.mark.parametrize("fps", [0, -25, float("nan")])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(InputError, match="frames a second"):
        VideoWriter(tmp_path / "v.mp4", fps, (64, 48))
    assert list(tmp_path.iterdir()) == []


def test_times_are_kept(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 33, 400, 401, 2000)]
    with VideoWriter(tmp_path / "v.mp4", 30, (64, 48), Fraction(1, 1000)) as writer:
        for frame, time in zip(frames(5), times):
            writer.write(frame, time)
        writer.write(next(frames(1)), times[0])  # never back
    found = [frame.time for frame in VideoReader(tmp_path / "v.mp4").frames()]
    assert found == [*times, times[-1] + Fraction(1, 1000)]


def test_an_exception_leaves_nothing(tmp_path):
    path = tmp_path / "v.mp4"
    with pytest.raises(RuntimeError), VideoWriter(path, 10, (64, 48)) as writer:
        writer.write(next(frames(1)))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="a frame of 32×48"), VideoWriter(path, 10, (64, 48)) as writer:
        writer.write(np.zeros((48, 32, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, sys
import numpy as np
from jmpose_jax.errors import NoSpace
from jmpose_jax.inference.video.reader import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
rng = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], 30, (320, 240)) as writer:
        for _ in range(12):
            writer.write(rng.integers(0, 255, (240, 320, 3)).astype(np.uint8))
except NoSpace as error:
    print("NoSpace", error)
"""


@pytest.mark.parametrize("limit", [0, 100, 20_000, 300_000])
def test_a_limit_of_the_size_is_told(tmp_path, limit):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "v.mp4"), str(limit)], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith(f"NoSpace {tmp_path}/v.mp4"), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY  # of this process


def test_what_cannot_be_read_back_is_no_result(tmp_path, monkeypatch):
    class Lossy:
        """A container that drops what is written, as a writer does that does not look at the system's answers."""

        def __init__(self, container):
            self._container = container

        def mux(self, packet):
            if packet.pts < 3:
                self._container.mux(packet)

        def __getattr__(self, name):
            return getattr(self._container, name)

    path = tmp_path / "v.mp4"
    with pytest.raises(NoSpace, match="of 6 frames 3 can be read back"), VideoWriter(path, 10, (64, 48)) as writer:
        writer._container = Lossy(writer._container)
        for frame in frames(6):
            writer.write(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(video_writer.os, "fsync", full)
    with pytest.raises(NoSpace, match="v.mp4: no room"), VideoWriter(tmp_path / "v.mp4", 10, (64, 48)) as writer:
        writer.write(next(frames(1)))
    assert list(tmp_path.iterdir()) == []


def test_codecs():
    found = mp4_codecs()
    assert found["mp4v"] is True and set(found) == {"avc1", "mp4v", "hev1", "av01"}

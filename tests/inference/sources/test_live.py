"""Cameras and streams."""

import functools
import http.server
import socket
import threading
import types

import av
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources import live
from jmpose_jax.inference.video.reader import VideoReader
from jmpose_jax.inference.video.writer import VideoWriter
from tests.display_matrix import with_matrix


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A server of the folder's files, at its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_a_stream_is_read_with_its_times(server, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 10, (32, 24)) as writer:
        for level in range(0, 250, 50):
            writer.write(np.full((24, 32, 3), level, np.uint8))
    stream = live.Stream(f"{server}/clip.mp4?token=1")
    assert (stream.name, stream.size, stream.rate) == ("clip", (32, 24), 10)
    frames = list(stream.frames())
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=2e-3)
    assert [round(float(frame.image.mean()) / 50) for frame in frames] == [0, 1, 2, 3, 4] and stream.remark == ""


def test_a_turned_video_is_upright_by_its_address_too(server, tmp_path):
    with VideoWriter(tmp_path / "plain.mp4", 10, (32, 24)) as writer:
        for n in range(3):
            writer.write(np.linspace(0, 80 * n, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8))
    with_matrix(tmp_path / "plain.mp4", tmp_path / "turned.mp4", (0, 1, -1, 0))
    stream = live.Stream(f"{server}/turned.mp4")
    assert stream.size == (24, 32)
    for ours, file in zip(stream.frames(), VideoReader(tmp_path / "turned.mp4").frames(), strict=True):
        np.testing.assert_array_equal(ours.image, file.image)


def test_damaged_parts_of_a_stream_are_told(server, tmp_path):
    noise = np.random.default_rng(0)
    with VideoWriter(tmp_path / "clip.mp4", 10, (64, 48)) as writer:
        for _ in range(12):
            writer.write(noise.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    raw = bytearray((tmp_path / "clip.mp4").read_bytes())
    with av.open(str(tmp_path / "clip.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pos is not None and packet.size]
    for packet in packets[4:7]:
        raw[packet.pos : packet.pos + packet.size] = bytes([255]) * packet.size
    (tmp_path / "clip.mp4").write_bytes(raw)
    stream = live.Stream(f"{server}/clip.mp4")
    assert len(list(stream.frames())) == 9
    assert "3 parts of the stream are damaged" in stream.remark


def test_what_holds_no_video_and_what_is_silent(server, tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("<html></html>")
    with pytest.raises(InputError, match="cannot be opened|no video"):
        live.Stream(f"{server}/page.html")
    monkeypatch.setattr(live, "PATIENCE", 0.5)
    silence = pytest.raises(InputError, match="nothing came for")
    with socket.create_server(("127.0.0.1", 0)) as mute, silence:
        live.Stream(f"http://127.0.0.1:{mute.getsockname()[1]}/a.mp4")


def camera(monkeypatch, count, sizes=((24, 32),)):
    class Capture:
        def __init__(self, number):
            self.left = count

        def isOpened(self):
            return count > 0

        def read(self):
            self.left -= 1
            return self.left >= 0, np.full((*sizes[self.left % len(sizes)], 3), (255, 0, 0), np.uint8)

        def release(self):
            pass

    silent = types.SimpleNamespace(getLogLevel=lambda: 0, setLogLevel=lambda level: None, LOG_LEVEL_SILENT=0)
    monkeypatch.setattr(live.cv2, "VideoCapture", Capture)
    monkeypatch.setattr(live.cv2.utils, "logging", silent)


def test_a_camera_gives_upright_colours_and_growing_times_until_it_ends(monkeypatch):
    camera(monkeypatch, 3)
    source = live.Camera(0)
    frames = list(source.frames())
    assert len(frames) == 3 and "camera has ended" in source.remark
    assert (frames[0].image[0, 0] == (0, 0, 255)).all()  # OpenCV gives blue first
    times = [frame.time for frame in frames]
    assert times == sorted(set(times)) and times[0] == 0


def test_a_camera_that_changes_its_size(monkeypatch):
    camera(monkeypatch, 2, ((12, 16), (24, 32)))
    first, second = live.Camera(0).frames()
    assert first.image.shape == second.image.shape == (24, 32, 3) and second.size == (16, 12)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://u:secret@10.0.0.7", "10.0.0.7"),
        ("rtsp://u:secret@cam.local:554/live/front.sdp?user=u&pwd=secret", "front"),
        ("http://h/a%20b.mp4", "a_20b"),
    ],
)
def test_no_password_lands_in_a_name(url, name):
    assert live._name(url) == name

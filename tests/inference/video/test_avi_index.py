"""The index of an AVI file: numbers before and behind bytes that are gone, new, or without sense."""

import av
import pytest

from jmpose_jax.inference.video.avi_index import AviIndex
from jmpose_jax.inference.video.reader import VideoReader


@pytest.fixture
def packets(make_video):
    path = make_video("v.avi", 20, codec="mjpeg", pixels="yuvj420p")
    with av.open(str(path)) as container:
        return path, [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def test_numbers(packets):
    path, packets = packets
    index = AviIndex(path, 0)
    assert [index.number(pos - 8, size) for pos, size in packets] == list(range(20)) == sorted(index.keyframes)
    assert len(index) == 20 and index.moved == 0
    assert index.number(packets[3][0], packets[3][1]) is None and len(AviIndex(path, 1)) == 0


@pytest.mark.parametrize("change", [-100, -4000, 100])
def test_bytes_that_move(packets, shown, change):
    path, packets = packets
    raw, at = bytearray(path.read_bytes()), packets[7][0] + 50
    raw[at : at + max(-change, 0)] = bytes(max(change, 0))
    path.write_bytes(raw)
    index = AviIndex(path, 0)
    assert index.moved == change
    assert index.number(packets[2][0] - 8, packets[2][1]) == 2
    assert index.number(packets[18][0] - 8 + change, packets[18][1]) == 18
    reader = VideoReader(path)
    frames = list(reader.frames())
    assert len(frames) == 20 and not reader.missing
    sure = [i for i, frame in enumerate(frames) if not frame.lost and not frame.damaged]
    assert len(sure) > 10 and shown(frames[i].image for i in sure) == sure


@pytest.mark.parametrize("raw", [b"x", b"RIFF----AVI movi", b"\0\0\0\0movi", b"\xff\xff\xff\xffmovi idx1", b"RIFF"])
def test_no_index(tmp_path, raw):
    (tmp_path / "v.avi").write_bytes(raw)
    assert len(AviIndex(tmp_path / "v.avi", 0)) == 0


def test_frames_of_uncertain_number_are_told(packets):
    path, packets = packets
    raw, at = bytearray(path.read_bytes()), packets[7][0] + 50
    del raw[at : at + 4000], raw[raw.rindex(b"idx1") :]
    path.write_bytes(raw)
    reader = VideoReader(path)
    count = len(list(reader.frames()))
    assert count + reader.missing == 20 and reader.missing and reader.unsure in (7, 8, 9)

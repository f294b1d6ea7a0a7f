"""Damaged videos: every frame that is said to be whole shows its own number; lost ones keep their places."""

from fractions import Fraction

import av
import av.stream
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.reader import VideoReader


def overwrite(path, packet_number):
    """Overwrite the packet of a frame and, but for the first one, the bytes before it that say where it is."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][packet_number]
        start, size = packet.pos, packet.size
    raw = bytearray(path.read_bytes())
    start -= 8 if packet_number else 0
    raw[start : start + size] = bytes((7 * i + 3) % 251 for i in range(size))
    path.write_bytes(raw)


@pytest.mark.parametrize("name,codec,pixels", [
    ("v.mkv", "libx264", "yuv420p"), ("v.avi", "libx264", "yuv420p"), ("v.mkv", "mjpeg", "yuvj420p"),
    ("v.avi", "mjpeg", "yuvj420p"), ("v.mp4", "mjpeg", "yuvj420p"), ("v.mkv", "mpeg4", "yuv420p"),
])  # fmt: skip
@pytest.mark.parametrize("broken", [3, 8, 15])
def test_a_lost_frame_keeps_its_place(make_video, shown, name, codec, pixels, broken):
    path = make_video(name, 20, codec=codec, pixels=pixels, gop=1)
    overwrite(path, broken)
    frames = list(VideoReader(path).frames())
    assert len(frames) == 20
    faulty = [i for i, frame in enumerate(frames) if frame.lost or frame.damaged]
    assert broken in faulty and set(faulty) <= set(range(broken - 1, broken + 4))
    for i, frame in enumerate(frames):
        assert i in faulty or shown([frame.image]) == [i]


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.avi"])
def test_wherever_the_damage_is_no_number_moves(make_video, name):
    path = make_video(name, 40, codec="mjpeg", pixels="yuvj420p", options={"qmin": "1", "qmax": "2"}, size=(192, 128))
    whole, raw = np.stack([image[::4, ::4] for image in VideoReader(path)]).astype(int), path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    first, last = packets[1].pos, packets[-2].pos  # head and index are the container's
    rng = np.random.default_rng(1)
    found_damage = 0
    for _ in range(15):
        broken = bytearray(raw)
        size = int(rng.choice([20, 300, 3000]))
        at = int(rng.integers(first, last - size))
        broken[at : at + size] = rng.bytes(size)
        path.write_bytes(broken)
        reader = VideoReader(path)
        frames = list(reader.frames())
        found_damage += any(frame.lost for frame in frames)
        assert len(frames) == 40 or reader.missing
        for i, frame in enumerate(frames):
            if not frame.lost and not frame.damaged:
                differences = np.abs(frame.image[::4, ::4] - whole).mean(axis=(1, 2, 3))
                assert np.argmin(differences) == i or differences.min() > 0  # a whole one of another number
    assert found_damage


def test_a_lost_first_frame_keeps_its_place(make_video, shown):
    path = make_video("v.mp4", 8, codec="mjpeg", pixels="yuvj420p")
    overwrite(path, 0)
    frames = list(VideoReader(path).frames())
    assert [frame.lost for frame in frames] == [True] + 7 * [False]
    assert shown(frame.image for frame in frames) == [1, 1, 2, 3, 4, 5, 6, 7]


def test_frames_whose_place_is_not_known_are_counted(make_video, tmp_path):
    raw = make_video("v.mkv", 20, gop=1).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(raw[: len(raw) * 6 // 10])
    reader = VideoReader(tmp_path / "cut.mkv")
    count = len(list(reader.frames()))
    assert count < 20 and reader.expected_frames == 20 and abs(20 - count - reader.missing) <= 1


def test_a_lost_frame_repeats_the_picture_before(make_video):
    path = make_video("v.mp4", 12, codec="mjpeg", pixels="yuvj420p")
    overwrite(path, 6)
    frames = list(VideoReader(path).frames())
    assert [i for i, frame in enumerate(frames) if frame.lost] == [6]
    np.testing.assert_array_equal(frames[6].image, frames[5].image)
    assert abs(frames[6].time - Fraction(6, 30)) < Fraction(1, 500)


def test_the_repro_of_mid_damage(shared):
    folder = shared / "repro/mid-damage"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    whole = list(VideoReader(folder / "all_i.mkv"))
    frames = list(VideoReader(folder / "midcorrupt.mkv").frames())
    assert len(frames) == len(whole) and [i for i, frame in enumerate(frames) if frame.lost] == [6]
    for i, frame in enumerate(frames):
        if not (frame.lost or frame.damaged):
            np.testing.assert_array_equal(frame.image, whole[i])


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.ts"])
def test_bytes_without_sense_give_one_line_or_frames(make_video, tmp_path, name):
    raw = make_video(name, 10).read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(12):
        broken = bytearray(raw)
        at, size = int(rng.integers(0, len(raw))), int(rng.integers(1, len(raw) // 2))
        if trial % 3:
            broken[at : at + size] = rng.bytes(len(broken[at : at + size]))
        else:
            del broken[at:]
        path = tmp_path / f"broken{trial}{path_suffix(name)}"
        path.write_bytes(broken)
        try:
            frames = list(VideoReader(path).frames())
        except InputError as error:
            assert path.name in str(error) and "\n" not in str(error)
        else:
            assert len({frame.image.shape for frame in frames}) == 1 and len(frames) < 60


def path_suffix(name):
    return name[name.index(".") :]


def test_truncated_video_gives_the_frames_it_has(tmp_path, shared):
    whole = (shared / "data/videos/vtest.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 40])
    reader = VideoReader(tmp_path / "cut.avi")
    count = sum(1 for _ in reader)
    assert 0 < count < 100 and reader.missing >= 795 - count - 1


def sure(frames, shown):
    """The numbers of frames that are said to be whole, after checking that each shows its own."""
    whole = [i for i, frame in enumerate(frames) if not frame.lost and not frame.damaged]
    assert shown(frames[i].image for i in whole) == whole
    return whole


@pytest.mark.parametrize("codec,name", [
    ("libx264", "v.mp4"), ("libx264", "v.mov"), ("libx264", "v.mkv"), ("libx264", "v.avi"), ("mpeg4", "v.avi"),
    ("mpeg4", "v.mp4"),
])  # fmt: skip
def test_damage_among_frames_of_another_order(make_video, shown, codec, name):
    options = {"x264-params": "keyint=12:bframes=3:b-pyramid=normal:scenecut=0"} if codec == "libx264" else {}
    path = make_video(name, 60, codec=codec, gop=12, bframes=3 if codec == "libx264" else 2, options=options)
    raw = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    middle = [(packet.pos, packet.size) for packet in packets[10:50]]
    for trial, (at, size) in enumerate(middle[::5]):
        broken = bytearray(raw)
        size = size if trial % 2 else 3 * size
        broken[at + 6 : at + size] = bytes(size - 6)
        path.write_bytes(broken)
        reader = VideoReader(path)
        frames = list(reader.frames())
        assert len(frames) == 60 and not reader.missing
        assert set(sure(frames, shown)) >= {*range(8), 59}


def test_readers_do_not_disturb_each_other(make_video, shown):
    path = make_video("v.avi", 40, gop=12, bframes=3)
    overwrite(path, 20)
    alone = [(frame.lost, frame.damaged) for frame in VideoReader(path).frames()]
    ahead = VideoReader(path).frames()
    for _ in range(3):
        reader = VideoReader(path)
        frames = []
        for frame in reader.frames():
            next(ahead, None)
            frames.append(frame)
        assert [(frame.lost, frame.damaged) for frame in frames] == alone and len(frames) == 40
        sure(frames, shown)


def test_bytes_missing_in_a_transport_stream(make_video, shown):
    path = make_video("v.ts", 40, codec="mpeg2video", gop=10)
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2 // 188 * 188
    del raw[middle : middle + 188 * 12]
    path.write_bytes(raw)
    frames = list(VideoReader(path).frames())
    assert len(frames) == 40 and any(frame.lost for frame in frames)
    assert sure(frames, shown)[-1] == 39


def test_pages_missing_in_ogg(make_video, shown):
    path = make_video("v.ogv", 60, codec="libvpx", gop=10, options={"auto-alt-ref": "0", "deadline": "realtime"})
    raw = bytearray(path.read_bytes())
    pages = [i for i in range(len(raw)) if raw.startswith(b"OggS", i)]
    at = pages[len(pages) // 2] + 60
    raw[at : at + 60] = bytes(60)
    path.write_bytes(raw)
    frames = list(VideoReader(path).frames())
    assert len(frames) == 60 and any(frame.lost for frame in frames)
    assert sure(frames, shown)[-1] == 59


def test_a_jump_of_the_time_stamps_is_named(make_video, shown):
    times = [i for i in range(30) if i not in (9, 10)]
    path = make_video("v.mkv", len(times), times=times, time_base=Fraction(1, 30))
    reader = VideoReader(path)
    assert shown(reader) == list(range(28)) and reader.jumps == [(9, 2)] and reader.missing == 0
    path = make_video("w.mkv", 30)
    reader = VideoReader(path)
    assert len(list(reader)) == 30 and reader.jumps == []


def test_the_end_of_a_constant_rate_is_missed(make_video):
    path = make_video("v.mkv", 40)
    with av.open(str(path)) as container:
        cut = [packet for packet in container.demux(video=0) if packet.size][25].pos
    raw = path.read_bytes()
    at = raw.rindex(b"\x1f\x43\xb6\x75", 0, cut)  # a cluster
    path.write_bytes(raw[:at])
    reader = VideoReader(path)
    count = len(list(reader))
    assert count < 26 and abs(count + reader.missing - 40) <= 1


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_a_destroyed_first_keyframe_moves_no_number(make_video, shown, name):
    path = make_video(name, 24, codec="libx264", pixels="yuv420p", gop=12, options={"bf": "0"})
    with av.open(str(path)) as container:
        first = next(packet for packet in container.demux(video=0) if packet.size)
        start, size = first.pos, first.size
    raw = bytearray(path.read_bytes())
    if name == "v.mkv":
        start = raw.index(b"\x81\0\0\x80", max(start - 16, 0)) + 4  # track 1, time 0, a keyframe; then its data
        raw[start - 1] = 0
    raw[start : start + size] = bytes(size)
    path.write_bytes(raw)
    frames = list(VideoReader(path).frames())
    assert len(frames) == 24
    whole = [i for i, frame in enumerate(frames) if not (frame.lost or frame.damaged)]
    assert set(range(12, 24)) <= set(whole)
    assert shown([frames[i].image for i in whole]) == whole

"""Video in: every frame at its place and upright, in any container; broken files; what is no video file."""

import itertools
import struct
from fractions import Fraction

import av
import av.stream
import cv2
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter, check_video_file
from tests.display_matrix import with_matrix


def opencv_count(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.mark.parametrize("bframes", [0, 2])
@pytest.mark.parametrize(
    "name,codec,pixels",
    [
        ("v.mp4", "libx264", "yuv420p"),
        ("v.mkv", "libx264", "yuv420p"),
        ("v.avi", "libx264", "yuv420p"),
        ("v.ts", "libx264", "yuv420p"),
        ("v.h264", "libx264", "yuv420p"),
        ("v.mp4", "mpeg4", "yuv420p"),
        ("v.avi", "mpeg4", "yuv420p"),
        ("v.mov", "mjpeg", "yuvj420p"),
        ("v.mp4", "libx264", "yuv420p10le"),
        ("v.mp4", "libx264", "gray"),
        ("v.mkv", "libx264", "yuv444p"),
        ("v.mkv", "ffv1", "bgr0"),
    ],
)
def test_every_frame_once_in_order(make_video, shown, name, codec, pixels, bframes):
    if bframes and codec in ("mjpeg", "ffv1"):
        pytest.skip("a codec of single pictures")
    path = make_video(name, 23, codec=codec, pixels=pixels, bframes=bframes)
    reader = VideoReader(path)
    assert reader.size == (96, 64)
    rate = reader.rate  # a stream without container does not say
    assert rate == 30 or name == "v.h264"
    frames = list(reader.frames())
    assert shown(frame.image for frame in frames) == list(range(23))
    assert not any(frame.lost or frame.damaged or frame.size for frame in frames)
    times = [frame.time for frame in frames]
    assert times[0] == 0 and times == sorted(set(times))
    np.testing.assert_allclose([float(time) for time in times], np.arange(23) / float(rate), atol=1e-3)
    assert shown(itertools.islice(reader, 3)) == [0, 1, 2]  # a reader can be gone through again
    assert reader.missing == 0


def test_variable_rate_has_no_gaps(make_video, shown):
    times = [0, 33, 66, 150, 151, 400, 433, 466, 500, 2000, 2033, 2066]
    path = make_video("v.mkv", len(times), times=times, time_base=Fraction(1, 1000))
    frames = list(VideoReader(path).frames())
    assert [frame.time * 1000 for frame in frames] == times
    assert shown(frame.image for frame in frames) == list(range(12)) and not any(frame.lost for frame in frames)


def test_a_constant_rate_with_frames_left_out_has_no_gaps(make_video, shown):
    times = [i for i in range(24) if i not in (9, 10, 17)]
    path = make_video("v.mkv", len(times), times=times, time_base=Fraction(1, 30))
    assert shown(VideoReader(path)) == list(range(21))


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.ts"])
def test_time_begins_with_the_first_frame(make_video, name):
    path = make_video(name, 8, times=list(range(90, 98)), time_base=Fraction(1, 30))
    frames = list(VideoReader(path).frames())
    np.testing.assert_allclose([float(frame.time) for frame in frames], np.arange(8) / 30, atol=1e-3)


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)])
def test_pictures_are_upright(make_video, tmp_path, matrix):
    plain = make_video("plain.mp4", 3)
    turned = with_matrix(plain, tmp_path / "turned.mp4", matrix)
    image, reader = next(iter(VideoReader(plain))), VideoReader(turned)
    found = next(iter(reader))
    a, b, c, d = matrix
    expected = image if a else image.transpose(1, 0, 2)
    expected = expected[:: d if a else b, :: a if a else c]
    np.testing.assert_array_equal(found, expected)
    assert reader.size == (found.shape[1], found.shape[0])
    if a * d - b * c > 0:  # OpenCV knows turns alone
        np.testing.assert_array_equal(found, cv2.VideoCapture(str(turned)).read()[1][..., ::-1])


def test_what_an_edit_list_leaves_out_is_no_frame(make_video, tmp_path):
    # A cut without encoding anew, as phones make it: it starts before a keyframe's successor.
    path = make_video("v.mp4", 20, gop=10)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"elst")
    duration, start = struct.unpack(">2i", raw[at + 12 : at + 20])
    ticks = av.open(str(path)).streams.video[0].time_base.denominator
    raw[at + 12 : at + 20] = struct.pack(">2i", duration * 16 // 20, start + 4 * ticks // 30)
    (tmp_path / "cut.mp4").write_bytes(raw)
    frames = list(VideoReader(tmp_path / "cut.mp4").frames())
    assert not any(frame.lost for frame in frames)
    assert len(frames) == opencv_count(tmp_path / "cut.mp4") == 16
    assert VideoReader(tmp_path / "cut.mp4").missing == 0


def test_a_change_of_size_is_told_and_fitted(make_video, tmp_path, shown):
    parts = [
        make_video("a.ts", 6),
        make_video("b.ts", 6, size=(192, 128), first=6),
        make_video("c.ts", 4, size=(48, 64)),
    ]
    (tmp_path / "v.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(VideoReader(tmp_path / "v.ts").frames())
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert [frame.size for frame in frames] == [None] * 6 + [(192, 128)] * 6 + [(48, 64)] * 4
    assert shown(frame.image for frame in frames[:12]) == list(range(12))
    assert not frames[-1].image[:, :20].any() and frames[-1].image[:, 30:60].any()  # its shape is kept
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))


def test_unreadable(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        VideoReader(tmp_path / "none.mp4")
    for name in ("text.mp4", "text.txt"):
        (tmp_path / name).write_text("no video")
        with pytest.raises(InputError, match=f"{name}: cannot be opened"):
            VideoReader(tmp_path / name)
    with VideoWriter(tmp_path / "empty.mp4", 10, (64, 48)):
        pass
    with pytest.raises(InputError, match=r"empty.mp4: (holds no frame|cannot be opened)"):
        VideoReader(tmp_path / "empty.mp4")


def test_what_is_no_video_file_is_called_by_its_name(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "000001.png").write_bytes(b"")
    for path, says in (
        (tmp_path / "frames", "is a folder"),
        (tmp_path / "frames" / "%06d.png", r"frame_\*.jpg"),
        ("/dev/null", "is no file"),
        (tmp_path / "none.mp4", "no such file"),
    ):
        with pytest.raises(InputError, match=says):
            check_video_file(type(tmp_path)(path), "--video")


def test_odd_names_are_names(make_video, shown, tmp_path):
    path = make_video("v.mp4", 4).rename(tmp_path / "pipe:a %d:0.mp4")
    assert shown(VideoReader(path)) == [0, 1, 2, 3]


@pytest.mark.parametrize("film", [False, True])
def test_a_cover_is_no_video(make_video, shown, tmp_path, film):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 192, 128, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        other = container.add_stream("mpeg4" if film else "aac", rate=30 if film else 44100)
        if film:
            other.width, other.height, other.pix_fmt = 96, 64, "yuv420p"
        for packet in [*cover.encode(av.VideoFrame(192, 128, "rgb24")), *cover.encode(None)]:
            container.mux(packet)
        for _ in range(5):
            frame = av.VideoFrame(96, 64, "yuv420p") if film else av.AudioFrame("fltp", "stereo", 1024)
            if not film:
                frame.sample_rate = 44100
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
            container.mux(other.encode(frame))
        container.mux(other.encode(None))
    if film:
        reader = VideoReader(path)
        assert reader.size == (96, 64) and len(list(reader)) == 5
    else:
        with pytest.raises(InputError, match=r"v.mp4: .*cover"):
            VideoReader(path)


def test_chunks_that_repeat_a_picture_are_no_missing_frames(make_video, shown):
    path = make_video("v.avi", 12, codec="mpeg4", times=list(range(0, 24, 2)), time_base=Fraction(1, 30))
    reader = VideoReader(path)
    assert shown(reader) == list(range(12)) and not reader.missing

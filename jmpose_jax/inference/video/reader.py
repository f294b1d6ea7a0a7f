"""Video files as streams of RGB frames, in and out, without holding more than one frame."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.stream
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.ffmpeg import complaints, reason
from jmpose_jax.inference.video.packets import UNTIMED, Clock, Packets, Recovery
from jmpose_jax.inference.video.picture import fitted, upright
from jmpose_jax.inference.video.places import Place, Places
from jmpose_jax.inference.video.writer import VideoWriter, mp4_codecs

__all__ = ["Frame", "VideoReader", "VideoWriter", "check_video_file", "mp4_codecs"]

DEFAULT_RATE = Fraction(25)
RESULTS = "_poses"  # what the name of a source's own folder of results ends in
FEW_JUMPS = 3  # of the time stamps in a file; with more, the rate is a variable one
GUESSED = {"ogg"}  # containers whose first time stamps after a fault may be earlier than they should be
BEGIN_WITH_KEY = {"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}  # whose first packet decodes by itself
NO_VIDEO = {"tty"}  # FFmpeg draws text files as pictures


@dataclasses.dataclass(frozen=True)
class Frame:
    """A place in a video.

    Attributes:
      image: uint8 RGB [H, W, 3], upright, all of one size; of a lost frame, the picture before it (the first one where
        there is none).
      time: seconds since the first frame.
      lost: the file is damaged here, and holds no picture that can be decoded.
      damaged: the picture was decoded with faults.
      size: (width, height) of the picture in the file where that is not the first one's, else None. Such a picture is
        scaled to fit the first one's size, its shape kept, with black beside it.
      number: place in the source, from 0, where frames before it were left out; None where it is the next one.
      name: of a picture that is a file of its own.
    """

    image: np.ndarray
    time: Fraction
    lost: bool = False
    damaged: bool = False
    size: tuple[int, int] | None = None
    number: int | None = None
    name: str | None = None


class VideoReader:
    """The frames of a video file in order, each decoded when it is asked for.

    Attributes:
      rate: frames a second as a fraction; 25 where the file does not say. `fps`: the same as a float.
      time_base: seconds, of which all times of the file are multiples.
      size: (width, height) in pixels of the upright picture.
      announced_frames: how many frames the file claims to hold; 0 where it does not say. Damaged files hold fewer.
      expected_frames: an estimate of it by the duration where it does not say; 0 where that is unknown too.
      missing: after all frames were read, how many of those announced (or, of a damaged file, expected) have no place
        among them; where they were is not known.
      surplus: after all frames of a damaged file were read, how many more they are than announced or expected.
      unsure: of a file with missing ones, the first frame whose number may be too low; None where that is not known.
      jumps: after all frames were read, (frame, pictures) wherever the time stamps of a constant rate leave out whole
        pictures before a frame, and nothing tells whether they are lost. Empty where that is usual in the file.
    """

    related, pictures, timed, remark = True, False, True, ""

    def __init__(self, path: str | os.PathLike, flag: str = "video"):
        """Open the file and decode its first frame.

        Args:
          path: of the file.
          flag: what stands before the path where it is no file.

        Raises:
          InputError: the file is absent, is no video that can be read, or holds no frame.
        """
        self.path = pathlib.Path(path)
        self.name, self.inputs = self.path.stem, (self.path,)
        self.place = self.path.with_name(self.name + RESULTS)
        check_video_file(self.path, flag)
        with self._open() as (container, stream, _):
            rate = stream.average_rate or stream.guessed_rate
            self.rate = Fraction(rate) if rate else DEFAULT_RATE
            self.announced_frames = max(stream.frames, 0)
            self.expected_frames = self.announced_frames
            seconds = Fraction(container.duration or 0, av.time_base)  # of the longest stream
            if stream.duration and stream.time_base:
                seconds = stream.duration * Fraction(stream.time_base)
            if not self.expected_frames and seconds > 0:
                self.expected_frames = max(round(seconds * self.rate), 1)
            # Sparse time bases (1/1000 of Matroska) are kept: finer ones would not be the file's.
            timed = container.format.name not in UNTIMED and stream.time_base
            self.time_base = Fraction(stream.time_base) if timed else 1 / self.rate
        self.fps = float(self.rate)
        self.missing, self.surplus, self.unsure = 0, 0, None
        self.jumps: list[tuple[int, int]] = []
        self.size: tuple[int, int] | None = None
        first = next(self.frames(), None)
        if first is None:
            raise InputError(f"video {self.path}: holds no frame that can be decoded; is the file complete?")
        self.size = (first.image.shape[1], first.image.shape[0])

    def __iter__(self) -> Iterator[np.ndarray]:
        """The pictures from the start: uint8 RGB [H, W, 3]; see `Frame`."""
        for frame in self.frames():
            yield frame.image

    def frames(self) -> Iterator[Frame]:
        """The frames from the start, lost ones in their places."""
        clock = Clock(self.time_base, self.rate)
        image: np.ndarray | None = None
        size = self.size
        waiting: list[int | None] = []  # lost ones before the first picture, which stands in for them
        for place in self._places():
            key, picture, faulty = place.stamp, place.picture, place.faulty
            if picture is None:
                waiting.append(key)
                if image is None:
                    continue
            else:
                found = upright(picture)
                shape = (found.shape[1], found.shape[0])
                size = size or shape
                image = found if shape == size else fitted(found, size)
            for lost in waiting:
                yield Frame(image, clock.at(lost), lost=True)
            waiting.clear()
            if picture is not None:
                yield Frame(image, clock.at(key), damaged=faulty, size=None if shape == size else shape)

    def _places(self) -> Iterator[Place]:
        """What the file has of each frame, in the order of display."""
        with self._open() as (container, stream, complaint):
            timed = container.format.name not in UNTIMED
            context = stream.codec_context
            context.copy_opaque = True
            period = float(1 / (self.rate * self.time_base))
            avi = container.format.name == "avi"
            begins = container.format.name in BEGIN_WITH_KEY
            places = Places(timed, period, bool(context.has_b_frames), whole=avi, begins_with_key=begins)
            places.damaged = complaint  # opening reads ahead
            packets, corrupt = Packets(container, stream), set()
            packets.damaged = complaint
            unsure, recovery = None, Recovery(timed, bool(context.has_b_frames))
            for number, packet in packets:
                places.damaged |= packets.damaged
                if packet is not None:
                    for lost in packets.skipped:
                        places.skipped(lost, keyframe=packets.is_keyframe(lost))
                    places.packet(
                        number,
                        packet.pts,
                        keyframe=packet.is_keyframe,
                        discard=packet.is_discard,
                        corrupt=packet.is_corrupt,
                    )
                    packet.opaque = [number]  # an object of its own: PyAV loses one that two packets share
                    broken = packets.lacking and number > 0  # of the first one, opening complained
                    if broken or packets.skipped:
                        recovery.fault()
                    if recovery.affects(packet) or (broken and container.format.name in GUESSED):
                        corrupt.add(number)
                    if not packets.unsure:
                        unsure = None
                    elif unsure is None:
                        unsure = places.accounted
                try:
                    with complaints() as said:
                        pictures = context.decode(packet)
                    if said:  # some decoders give a picture that they could not fill, and do not mark it
                        corrupt.add(number)
                        places.damaged = True
                        recovery.complaint()
                except av.FFmpegError:
                    pictures = []
                    recovery.complaint()
                    places.failed(number)
                for picture in pictures:
                    source = picture.opaque[0] if picture.opaque else number
                    faulty = picture.is_corrupt or source in corrupt
                    yield from places.picture(source, picture.pts, picture, faulty)
            yield from places.end()
            # Of a constant rate, the duration tells the number, less what is before the first picture in some files.
            alone = places.regular and len(container.streams) == 1
            before = round((places.first or 0) * self.time_base * self.rate) if alone else 0
            found = places.accounted + packets.empty
            self.missing = self._missing(found, places.damaged, alone, max(before, 0))
            self.surplus = max(found - self.expected_frames, 0) if places.damaged and self.expected_frames else 0
            self.unsure = unsure if self.missing else None
            self.jumps = places.jumps if len(places.jumps) <= FEW_JUMPS else []

    def _missing(self, found: int, damaged: bool, constant: bool, before: int) -> int:
        if self.announced_frames:
            return max(self.announced_frames - found, 0)
        short = self.expected_frames - found  # rounded
        return short if short > 1 and (damaged or (constant and short - before > 1)) else 0

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[Any, Any, bool]]:
        """The container, its video stream, and whether FFmpeg complained of them."""
        try:
            with complaints() as said:
                # With a protocol before it, a name may hold colons.
                container = av.open(f"file:{self.path}")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"video {self.path}: cannot be opened ({reason(error)}); give a file that FFmpeg reads, e.g. .mp4 "
                "or .avi"
            ) from error
        with container:
            stream = _moving(container)
            if stream is None or container.format.name in NO_VIDEO or not stream.codec_context:
                raise InputError(f"video {self.path}: cannot be opened as video; it holds {_content(container)}")
            # Threads by frame would give the faults of one packet with the pictures of another.
            stream.thread_type = "SLICE"
            yield container, stream, bool(said)


def check_video_file(path: pathlib.Path, flag: str = "video") -> None:
    """Raises InputError that says what `path` is, if it is not a file that can be read."""
    # os.path answers no where pathlib raises: names that are too long, folders that are closed.
    if os.path.isfile(path):
        if not os.access(path, os.R_OK):
            raise InputError(f"{flag} {path}: cannot be read (permission denied)")
        return
    if os.path.isdir(path):
        raise InputError(f"{flag} {path}: is a folder, no video file; give a file in it")
    if os.path.exists(path):
        raise InputError(f"{flag} {path}: is no file; of a camera give the number, as 0")
    if "%" in path.name:
        raise InputError(f"{flag} {path}: is no file; write a pattern of pictures as 'frame_*.jpg'")
    raise InputError(f"{flag} {path}: no such file")


def _moving(container: Any) -> Any | None:
    """The video stream that FFmpeg takes for the best; none that is the cover of a recording."""
    best = container.streams.best("video")
    if best is not None and _is_cover(best):
        return next((stream for stream in container.streams.video if not _is_cover(stream)), None)
    return best


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _content(container: Any) -> str:
    kinds = sorted(
        {
            "a cover picture" if stream.type == "video" and _is_cover(stream) else stream.type
            for stream in container.streams
        }
    )
    return ", ".join(kinds) or "no stream"

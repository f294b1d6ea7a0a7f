"""Writing RGB frames as a video that ordinary players and browsers show."""

import contextlib
import os
import pathlib
import tempfile
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np

from jmpose_jax.errors import InputError, NoSpace, is_full_disk
from jmpose_jax.inference.video.ffmpeg import complaints, reason

CODECS = {"avc1": "libx264", "mp4v": "mpeg4", "hev1": "libx265", "av01": "libsvtav1"}  # by their names in .mp4 files
ENCODERS = ("libx264", "mpeg4")  # in the order of preference
OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20"}, "mpeg4": {"qscale": "3"}}
FINEST = 1_000_000  # ticks a second in a file that is written
FINEST_MPEG4 = 65_535
BT709 = 1


class VideoWriter:
    """Writes RGB frames to an .mp4 file, which appears only when all is written and can be read back.

    Used as a context manager: leaving it by an exception leaves no file behind.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fps: float | Fraction,
        size: tuple[int, int],
        time_base: Fraction | None = None,
        encoder: str | None = None,
        shown: str | os.PathLike | None = None,
    ):
        """Open the file for writing.

        Args:
          path: ends in .mp4; its folder is made where it does not exist.
          fps: frames a second, of any value; a float near a fraction of small numbers is taken for it.
          size: (width, height); an odd side is padded by one black line, as the codecs need.
          time_base: seconds, of which the times given to `write` are multiples; 1/fps by default.
          shown: the path that messages name, where the file is moved there afterwards.
          encoder: of FFmpeg; H.264 by default where this FFmpeg writes it, else MPEG-4 part 2.

        Raises:
          InputError: the file cannot be written.
        """
        self.path = pathlib.Path(path)
        self._shown = shown or path
        self.rate = rational(fps)
        if self.rate <= 0:
            raise InputError(f"{self._shown}: a video of {fps} frames a second cannot be written")
        self.size = (size[0], size[1])
        self.frames = 0
        self._padded = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        encoder = encoder or next(name for name in ENCODERS if name in av.codecs_available)
        base = Fraction(time_base or 1 / self.rate)
        finest = FINEST_MPEG4 if encoder == "mpeg4" else FINEST
        # Where the file's ticks are too many, times are rounded to the finest that the form holds.
        self._time_base = base if base.denominator <= finest else Fraction(1, finest)
        self._tick = -1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self.path.with_name(f".{self.path.stem}.tmp{os.getpid()}.mp4")
        try:
            with complaints(own_thread=True):
                self._container = av.open(f"file:{self._temporary}", "w", format="mp4")
            stream = self._container.add_stream(encoder, rate=self.rate, options=OPTIONS.get(encoder, {}))
            stream.width, stream.height = self._padded
            stream.pix_fmt = "yuv420p"
            stream.time_base = self._time_base
            context = stream.codec_context
            context.time_base = self._time_base
            context.max_b_frames = 0  # so that every reader finds the frames in order and from 0
            context.gop_size = max(min(round(2 * self.rate), 250), 1)
            context.colorspace = context.color_primaries = context.color_trc = BT709
            self._stream = stream
        except (av.FFmpegError, OSError) as error:
            self._remove()
            raise self._fault(error) from error

    def write(self, frame: np.ndarray, time: Fraction | None = None) -> None:
        """Append a frame.

        Args:
          frame: uint8 RGB [H, W, 3] of the writer's size.
          time: seconds since the start; by default one period after the frame before, if all went without.

        Raises:
          NoSpace: the disk is full.
        """
        if frame.shape != (self.size[1], self.size[0], 3):
            raise ValueError(f"{self._shown}: a frame of {frame.shape[1]}×{frame.shape[0]} in a video of {self.size}")
        right, bottom = self._padded[0] - self.size[0], self._padded[1] - self.size[1]
        if right or bottom:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        time = self.frames / self.rate if time is None else time
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        self._tick = max(round(time / self._time_base), self._tick + 1)
        picture.pts, picture.time_base = self._tick, self._time_base
        self._encode(picture)
        self.frames += 1

    def close(self) -> None:
        """Finish the file, read it back, and put it in its place.

        Raises:
          NoSpace: the disk is full, or what was written cannot be read.
        """
        try:
            if self.frames:
                self._encode(None)
            with complaints(own_thread=True):
                self._container.start_encoding()  # the head, where no frame has brought it about
                self._container.close()
            with open(self._temporary, "rb+") as file:
                os.fsync(file.fileno())
            self._check()
            os.replace(self._temporary, self.path)
        except (av.FFmpegError, OSError) as error:
            self._remove()
            raise self._fault(error) from error
        except BaseException:
            self._remove()
            raise

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._remove()

    def _encode(self, picture: Any) -> None:
        try:
            with complaints(own_thread=True):
                for packet in self._stream.encode(picture):
                    # Players take the time of the last frame from here.
                    packet.duration = max(round(1 / (self.rate * packet.time_base)), 1)
                    self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._fault(error) from error

    def _check(self) -> None:
        """Read back what was written: as many frames, the first and the last of which can be decoded."""
        if not self.frames:
            return
        with complaints(own_thread=True), av.open(f"file:{self._temporary}") as container:
            stream = container.streams.video[0]
            stamps = [packet.pts for packet in container.demux(stream) if packet.size]
            container.seek(stamps[-1] if stamps else 0, stream=stream)
            last = None
            for last in container.decode(stream):  # noqa: B007
                pass
            container.seek(0, stream=stream)
            first = next(container.decode(stream), None)
        whole = len(stamps) == self.frames and first is not None and last is not None and last.pts == stamps[-1]
        if not whole:
            raise NoSpace(
                f"{self._shown}: of {self.frames} frames {len(stamps)} can be read back; is there room for it?"
            )

    def _fault(self, error: Exception) -> Exception:
        if is_full_disk(error):
            return NoSpace(f"{self._shown}: no room for it ({reason(error)}); free space or choose another place")
        return InputError(f"{self._shown}: cannot be written as mp4 ({reason(error)}); choose another place")

    def _remove(self) -> None:
        with contextlib.suppress(av.FFmpegError, OSError, AttributeError), complaints(own_thread=True):
            self._container.close()
        self._temporary.unlink(missing_ok=True)


def rational(fps: float | Fraction) -> Fraction:
    """Frames a second as the fraction of small numbers that they stand for, e.g. 24000/1001 for 23.976024."""
    if isinstance(fps, Fraction):
        return fps
    if not 0 < fps < float("inf"):
        return Fraction(0)
    for denominator in (1, 1001):
        found = Fraction(round(fps * denominator), denominator)
        if abs(float(found) - fps) < 1e-7 * fps:
            return found
    return Fraction(fps).limit_denominator(100_000)


def mp4_codecs() -> dict[str, bool]:
    """Which codecs can be written into an .mp4 file here and read back, by trying."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for codec, encoder in CODECS.items():
            try:
                with VideoWriter(os.path.join(folder, f"{codec}.mp4"), 25, (64, 64), encoder=encoder) as writer:
                    for value in range(3):
                        writer.write(np.full((64, 64, 3), 80 * value, np.uint8))
                found[codec] = True
            except (InputError, NoSpace):
                found[codec] = False
    return found

"""Video files as streams of RGB frames, in and out, without holding more than one frame."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType

import cv2
import numpy as np

from jmpose_jax.errors import InputError

DEFAULT_FPS = 25.0


class VideoReader:
    """The frames of a video file in order, each decoded when it is asked for.

    Attributes:
      fps: frames a second; 25 where the file does not say.
      size: (width, height) in pixels.
      announced_frames: how many frames the file claims to hold; 0 where it does not say. Damaged files hold fewer.
    """

    def __init__(self, path: str | os.PathLike):
        """Open the file and decode its first frame.

        Raises:
          InputError: the file is absent, is no video that OpenCV can read, or holds no frame.
        """
        self.path = pathlib.Path(path)
        if not self.path.is_file():
            raise InputError(f"video {self.path}: no such file")
        capture = cv2.VideoCapture(str(self.path))
        try:
            if not capture.isOpened():
                raise InputError(
                    f"video {self.path}: cannot be opened; give a file that OpenCV reads, e.g. .mp4 or .avi"
                )
            ok, frame = capture.read()
            if not ok:
                raise InputError(f"video {self.path}: holds no frame that can be decoded")
            fps = capture.get(cv2.CAP_PROP_FPS)
            self.announced_frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        finally:
            capture.release()
        self.fps = float(fps) if np.isfinite(fps) and 0 < fps < 1000 else DEFAULT_FPS
        self.size = (frame.shape[1], frame.shape[0])

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames from the start: uint8 RGB [H, W, 3]."""
        capture = cv2.VideoCapture(str(self.path))
        try:
            while True:
                ok, frame = capture.read()
                if not ok:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()


class VideoWriter:
    """Writes RGB frames to an .mp4 file, which appears only when all is written.

    Used as a context manager: leaving it by an exception leaves no file behind.
    """

    def __init__(self, path: str | os.PathLike, fps: float, size: tuple[int, int]):
        """Open the file for writing.

        Args:
          path: ends in .mp4; the codec is MPEG-4 part 2, which every OpenCV build carries.
          fps: frames a second.
          size: (width, height); an odd side is padded by one black line, as the codec needs.

        Raises:
          InputError: the file cannot be written.
        """
        self.path = pathlib.Path(path)
        self.size = (size[0], size[1])
        self.frames = 0
        self._temporary = self.path.with_name(f"{self.path.stem}.tmp{os.getpid()}.mp4")
        self._padded = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = cv2.VideoWriter(str(self._temporary), cv2.VideoWriter.fourcc(*"mp4v"), fps, self._padded)
        if not self._writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise InputError(f"{self.path}: cannot be written as mp4; is the folder writable?")

    def write(self, frame: np.ndarray) -> None:
        """Append a frame: uint8 RGB [H, W, 3] of the writer's size."""
        if frame.shape != (self.size[1], self.size[0], 3):
            raise ValueError(f"{self.path}: a frame of {frame.shape[1]}×{frame.shape[0]} in a video of {self.size}")
        right, bottom = self._padded[0] - self.size[0], self._padded[1] - self.size[1]
        if right or bottom:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def close(self) -> None:
        """Finish the file and put it in its place."""
        self._writer.release()
        os.replace(self._temporary, self.path)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.release()
            self._temporary.unlink(missing_ok=True)


def mp4_codecs() -> dict[str, bool]:
    """Which codecs this OpenCV can write into an .mp4 file and read back, by trying."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, _silent_stderr():
        for codec in ("mp4v", "avc1", "hev1", "av01"):
            path = os.path.join(folder, f"{codec}.mp4")
            writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*codec), DEFAULT_FPS, (64, 64))
            for value in range(3):
                writer.write(np.full((64, 64, 3), 80 * value, np.uint8))
            writer.release()
            found[codec] = os.path.exists(path) and cv2.VideoCapture(path).read()[0]
    return found


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what libraries write to standard error: FFmpeg complains there of every codec that it lacks."""
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)

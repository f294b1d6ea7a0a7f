"""Sources that go on: cameras, and streams by their URL. Each gives its frames once."""

import contextlib
import pathlib
import re
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.ffmpeg import complaints, reason
from jmpose_jax.inference.video.picture import fitted, upright
from jmpose_jax.inference.video.reader import DEFAULT_RATE, RESULTS, Frame

PATIENCE = 10.0  # seconds that a source may give nothing, when it is opened and later
MILLISECOND = Fraction(1, 1000)


class _Live:
    """What cameras and streams share. Attributes: see `sources.source.Source`."""

    related, pictures, timed = True, False, True
    inputs: tuple[pathlib.Path, ...] = ()
    announced_frames = expected_frames = 0
    missing, surplus, unsure = 0, 0, None
    rate, time_base = DEFAULT_RATE, MILLISECOND

    def __init__(self, name: str, shown: str, advice: str, images: Iterator[tuple[np.ndarray, float | None]]):
        """Take the first picture.

        Args:
          name: of the results.
          shown: what messages call it; `advice`: what they say to do.
          images: uint8 RGB pictures with their times in seconds, None where that is when they come.

        Raises:
          InputError: there is none.
        """
        self.name = name
        self.place = pathlib.Path(name + RESULTS)
        self.jumps: list[tuple[int, int]] = []
        self.remark = ""
        self._images = images
        first = next(self._images, None)
        if first is None:
            raise InputError(f"{shown}: gives no picture; {advice}")
        self._first = first
        self.size = (first[0].shape[1], first[0].shape[0])

    def frames(self) -> Iterator[Frame]:
        """The frames as they come, each once."""
        began, before = time.monotonic(), Fraction(-1)
        start = self._first[1]
        waiting = [self._first]
        while True:
            found = waiting.pop() if waiting else next(self._images, None)
            if found is None:
                return
            image, stamp = found
            seconds = time.monotonic() - began if stamp is None or start is None else stamp - start
            now = max(round(Fraction(seconds) / MILLISECOND) * MILLISECOND, before + MILLISECOND)
            before = now
            shape = (image.shape[1], image.shape[0])
            if shape != self.size:
                image = fitted(image, self.size)
            yield Frame(image, now, size=None if shape == self.size else shape)


class Camera(_Live):
    """A camera of this machine, by its number."""

    advice = "give the number of another camera, or close the program that uses it"

    def __init__(self, number: int):
        """Open it and take the first picture.

        Raises:
          InputError: there is no such camera, or it gives nothing.
        """
        shown = f"camera {number}"
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._capture = cv2.VideoCapture(number)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise InputError(f"{shown}: there is none that can be opened; {self.advice}")
        super().__init__(f"camera{number}", shown, self.advice, self._pictures())

    def _pictures(self) -> Iterator[tuple[np.ndarray, float | None]]:
        try:
            while True:
                there, image = self._capture.read()
                if not there:
                    self.remark = "; the camera has ended"
                    return
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None
        finally:
            self._capture.release()


class Stream(_Live):
    """A stream, or a file at a distance, by its URL: all that FFmpeg reads."""

    advice = "check the address and the network, or download the file first"

    def __init__(self, url: str):
        """Open it and take the first picture.

        Raises:
          InputError: it cannot be opened, or gives no picture for `PATIENCE` seconds.
        """
        shown = _without_password(url)
        try:
            with complaints():
                self._container = av.open(url, timeout=(PATIENCE, PATIENCE))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{shown}: cannot be opened ({_why(error)}); {self.advice}") from error
        video = self._container.streams.video
        if not video:
            self._container.close()
            raise InputError(f"{shown}: holds no video; {self.advice}")
        self._stream = video[0]
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate = Fraction(rate) if rate else DEFAULT_RATE
        self.expected_frames = max(self._stream.frames, 0)
        super().__init__(_name(url), shown, self.advice, self._pictures())

    def _pictures(self) -> Iterator[tuple[np.ndarray, float | None]]:
        with contextlib.closing(self._container):
            packets, lost = self._container.demux(self._stream), 0
            while True:
                try:
                    with complaints():
                        packet = next(packets, None)
                        pictures = [] if packet is None else packet.decode()
                except av.InvalidDataError:
                    lost += 1
                    self.remark = f"; {lost} parts of the stream are damaged: numbers of frames behind them are too low"
                    continue
                except (av.FFmpegError, OSError) as error:
                    self.remark += f"; the stream has ended: {_why(error)}"
                    return
                if packet is None:
                    return
                for picture in pictures:
                    yield upright(picture), picture.time


def _name(url: str) -> str:
    """Of the results: the last part of the path, without its ending, or else the host; never a password."""
    host, _, path = re.sub(r"^[^/]*@", "", url.split("://", 1)[1]).split("?")[0].partition("/")
    name = pathlib.PurePosixPath(path).stem or host
    return re.sub(r"[^\w.-]+", "_", name).strip("_.") or "stream"


def _why(error: Exception) -> str:
    """What FFmpeg says; of its own end by the timeout it says something else."""
    if isinstance(error, getattr(av, "ExitError", ())) or "xit requested" in str(error):
        return f"nothing came for {PATIENCE:.0f} s"
    return reason(error)


def _without_password(url: str) -> str:
    """The URL as it may stand in a log."""
    return re.sub(r"(://)[^/@]*@", r"\1…@", url)

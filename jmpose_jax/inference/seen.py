"""What prediction keeps of the frames of a source, which are read ahead of those that are written."""

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections, Detector
from jmpose_jax.inference.results import Summary
from jmpose_jax.inference.sources.source import Source
from jmpose_jax.inference.video.reader import Frame
from jmpose_jax.records import Predictions


class Seen:
    """What is known of the frames that were read."""

    def __init__(self, detector: Detector):
        self._detector = detector
        self.numbers: list[int] = []
        self.names: list[str | None] = []
        self.first = Fraction(0)  # time of the first frame
        self.lost: set[int] = set()
        self.damaged: list[int] = []
        self.rescaled: list[tuple[int, tuple[int, int]]] = []
        self.waiting: dict[int, Frame] = {}
        self.ended = False

    def pictures(self, frames: Iterable[Frame]) -> Iterator[np.ndarray]:
        """The pictures of the frames, which are noted as they pass.

        Raises:
          InputError: the size changes, and boxes come from a file.
        """
        for index, frame in enumerate(frames):
            self.numbers.append(index if frame.number is None else frame.number)
            self.names.append(frame.name)
            self.waiting[index] = dataclasses.replace(frame, image=None)
            if not index:
                self.first = frame.time
            if frame.lost:
                self.lost.add(index)
            elif frame.damaged:
                self.damaged.append(index)
            if frame.size is not None and not frame.lost:
                self.rescaled.append((index, frame.size))
                if isinstance(self._detector, BoxTable):
                    raise InputError(
                        f"frame {self.numbers[-1]} of the video is {frame.size[0]}×{frame.size[1]}, the first one "
                        f"{frame.image.shape[1]}×{frame.image.shape[0]}: which of them the box file's pixels are of is "
                        "not known; cut the video there, and predict each part with its boxes"
                    )
            yield frame.image
        self.ended = True

    def boxes(self, index: int, image: np.ndarray) -> Detections:
        """The detector's; a lost frame, of which there is no picture, has none."""
        return Detections.empty() if index in self.lost else self._detector(self.numbers[index], image)

    def images(self, count: int) -> dict[int, dict[str, Any]]:
        """Entries of `images` for frames that are files of their own, by number."""
        named = zip(self.numbers[:count], self.names)
        return {number: {"id": number, "file_name": name} for number, name in named if name is not None}

    def summary(self, source: Source, predictions: Predictions, estimated: int) -> Summary:
        """What was done, once the frames of the record are; those that were read behind them are left out.

        Args:
          source: of the frames.
          predictions: the record.
          estimated: how many of its frames a network saw.
        """
        count = len(predictions.images)
        numbers = self.numbers[:count]
        return Summary(
            count,
            len(predictions.image_id),
            len(np.unique(predictions.track_id)),
            lost=tuple(numbers[index] for index in sorted(self.lost) if index < count),
            damaged=tuple(numbers[index] for index in self.damaged if index < count),
            rescaled=tuple((numbers[index], size) for index, size in self.rescaled if index < count),
            missing=source.missing,
            unsure=source.unsure,
            jumps=tuple(jump for jump in source.jumps if numbers[0] < jump[0] <= numbers[-1]),
            surplus=source.surplus,
            complete=self.ended and count == len(self.numbers),
            numbers=tuple(numbers),
            estimated=estimated,
        )

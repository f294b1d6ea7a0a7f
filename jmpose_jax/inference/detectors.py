"""Where the persons of a frame are: OpenCV's HOG people detector, the whole frame, or boxes from a file."""

import dataclasses
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Detections:
    """The N persons of one frame.

    Attributes:
      boxes: float32 [N, 4], (x, y, width, height) in image pixels.
      scores: float32 [N], confidence in 0..1.
      track_ids: int64 [N] where the source tracks, else None.
    """

    boxes: np.ndarray
    scores: np.ndarray
    track_ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls) -> "Detections":
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


# From the number of a frame and its RGB image to its persons.
Detector = Callable[[int, np.ndarray], Detections]


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, of_union: bool = False
) -> np.ndarray:
    """Indices of the boxes to keep, best first: none overlaps a better one by more than `threshold`.

    The overlap is the intersection over the smaller area, so that a box inside another one goes too, or over the union,
    so that a child in front of an adult stays.

    Args:
      boxes: float [N, 4], (x, y, width, height).
      scores: float [N].
      threshold: in 0..1.
      of_union: over the union.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2] * boxes[:, 3]
    keep = []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        inner = np.clip(np.minimum(high[best], high[order]) - np.maximum(low[best], low[order]), 0, None).prod(axis=1)
        base = area[best] + area[order] - inner if of_union else np.minimum(area[best], area[order])
        order = order[inner <= threshold * base]
    return np.array(keep, np.int64)


class HogDetector:
    """Upright pedestrians by histograms of oriented gradients and a linear classifier (Dalal and Triggs, 2005)."""

    # The classifier's window is 64 × 128 with a margin around the person (nominally 16 pixels, less in practice).
    WINDOW = (64, 128)
    MARGIN = 12
    SMALL_SIDE = 400
    BORDER = 0.2

    def __init__(
        self, min_person_height: int = 60, threshold: float = 0.4, overlap: float = 0.45, max_side: int = 1280
    ):
        """Set up the detector.

        Args:
          min_person_height: of the smallest persons to find, pixels; small ones are found by enlarging the image, at
            most twice.
          threshold: least margin of the classifier; lower finds more persons and more lamp posts.
          overlap: of two boxes above which the weaker one is dropped.
          max_side: the longer side of the image that is searched, pixels; bounds the time for large videos.
        """
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        self._min_person_height, self._threshold, self._overlap = min_person_height, threshold, overlap
        self._max_side = max_side

    def __call__(self, index: int, image: np.ndarray) -> Detections:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        longest = max(gray.shape)
        zoom = float(np.clip((self.WINDOW[1] - 2 * self.MARGIN) / self._min_person_height, 1.0, 2.0))
        zoom = min(zoom, self._max_side / longest)
        # Persons that nearly fill the frame leave no room for the window's margin: look for them in a small copy with
        # a border.
        found = [self._search(gray, zoom, 0.0), self._search(gray, min(zoom, self.SMALL_SIDE / longest), self.BORDER)]
        boxes, margins = (np.concatenate(parts) for parts in zip(*found))
        if not len(boxes):
            return Detections.empty()
        keep = non_maximum_suppression(boxes, margins, self._overlap)
        scores = 1 / (1 + np.exp(-2 * margins[keep]))
        return Detections(boxes[keep].astype(np.float32), scores.astype(np.float32))

    def _search(self, gray: np.ndarray, zoom: float, border: float) -> tuple[np.ndarray, np.ndarray]:
        """Boxes [N, 4] in the pixels of `gray` and the classifier's margins [N], from one copy of the image."""
        pad = round(border * max(gray.shape))
        if pad:
            gray = cv2.copyMakeBorder(gray, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        height, width = gray.shape
        size = (max(round(width * zoom), self.WINDOW[0]), max(round(height * zoom), self.WINDOW[1]))
        scaled = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
        boxes, margins = self._hog.detectMultiScale(
            scaled, hitThreshold=self._threshold, winStride=(8, 8), padding=(16, 16), scale=1.1, groupThreshold=0
        )
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        inset = boxes[:, 3:] * (self.MARGIN / self.WINDOW[1])
        boxes = np.concatenate([boxes[:, :2] + inset, boxes[:, 2:] - 2 * inset], axis=1)
        boxes = boxes / np.array([size[0] / width, size[1] / height] * 2) - np.array([pad, pad, 0, 0])
        return boxes, np.asarray(margins, np.float64).ravel()


class WholeFrame:
    """One person that fills the frame."""

    def __call__(self, index: int, image: np.ndarray) -> Detections:
        box = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))


class BoxTable:
    """Boxes that were read from a file, by frame number."""

    def __init__(self, by_frame: Mapping[int, Detections], source: str):
        """Take the boxes; `source` is the file's name for messages."""
        self._by_frame, self._source = dict(by_frame), source

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._by_frame))

    @property
    def tracked(self) -> bool:
        """Whether the boxes have identities."""
        return any(found.track_ids is not None for found in self._by_frame.values())

    def __call__(self, index: int, image: np.ndarray) -> Detections:
        found = self._by_frame.get(index, Detections.empty())
        outside = (found.boxes[:, 0] >= image.shape[1]) | (found.boxes[:, 1] >= image.shape[0])
        outside |= (found.boxes[:, :2] + found.boxes[:, 2:] <= 0).any(axis=1)
        if outside.any():
            box = [round(float(v), 1) for v in found.boxes[np.argmax(outside)]]
            raise InputError(
                f"boxes {self._source}: box {box} of frame {index} lies outside the image of "
                f"{image.shape[1]}×{image.shape[0]}; boxes are x, y, width, height in pixels of this video"
            )
        return found


DETECTORS: dict[str, Callable[[], Detector]] = {"hog": HogDetector, "whole": WholeFrame}


def make_detector(name: str) -> Detector:
    """A detector by name.

    Raises:
      InputError: for an unknown name.
    """
    if name not in DETECTORS:
        raise InputError(f"detector={name} is not known; use one of movenet, {', '.join(DETECTORS)}, or give boxes")
    return DETECTORS[name]()

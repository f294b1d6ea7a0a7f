"""Person boxes: from the annotations, clipped to the image, or from a detector's file."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from jmpose_jax.boxes.reader import FORMS, read_boxes
from jmpose_jax.errors import InputError

SCORE_THRESHOLD = 0.2  # IMAGE_THRE of the published PoseTrack configurations
NEEDED = "tells no image of the data set; use a form with image_name, file_name or image_id"


@dataclasses.dataclass(frozen=True)
class Detection:
    """One detected person.

    Attributes:
      box: float32 [4], (x, y, width, height) in image pixels.
      score: the detector's confidence.
      image_name: path of the image as the file gives it, or None where it gives an id.
      image_id: the data set's id of the image, or None where the file gives a path.
      size: (width, height) of the image by the file, pixels, or None where it does not say.
      place: where in the file, for messages.
    """

    box: np.ndarray
    score: float
    image_name: str | None
    image_id: int | None
    size: tuple[int, int] | None = None
    place: str = ""


def clip_box(box: np.ndarray, width: int, height: int) -> np.ndarray | None:
    """The part of a box inside the image.

    Args:
      box: float [4], (x, y, width, height).
      width: of the image.
      height: of the image.

    Returns:
      float32 [4], or None where the box is empty, lies outside, or leaves less than a pixel on both sides.
    """
    x, y, w, h = (float(v) for v in box)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + w, float(width)), min(y + h, float(height))
    if w <= 0 or h <= 0 or right <= left or bottom <= top or max(right - left, bottom - top) < 1:
        return None
    return np.asarray([left, top, right - left, bottom - top], np.float32)


def read_detections(path: pathlib.Path, threshold: float = SCORE_THRESHOLD) -> list[Detection]:
    """A detector's boxes, of any form that names images or their ids (`jmpose_jax.boxes.reader`).

    Entries of other categories, those around crowds and those below the threshold are left out; boxes without area too.

    Args:
      path: the file.
      threshold: least score that is kept.

    Returns:
      The detections in the order of the file.

    Raises:
      InputError: naming the file and the entry of the first fault.
    """
    content = read_boxes(path)
    if content.form in ("frames", "positions", "mot"):
        raise InputError(f"{path}: {NEEDED}, among {FORMS}")
    detections = []
    for row in content.rows:
        image = content.images[row.image]
        if image.name is None and image.identity is None:
            raise InputError(f"{path}: {row.place}: {NEEDED}")
        if row.person and not row.crowd and row.score >= threshold and min(row.box[2:]) > 0 and max(row.box[2:]) >= 1:
            identity = image.identity if image.name is None else None
            found = np.asarray(row.box, np.float32)
            detections.append(Detection(found, row.score, image.name, identity, image.size, row.place))
    return detections


def frame_key(file_name: str) -> str:
    """What identifies a frame whatever folder a file name starts from: the video's folder and the image's name."""
    return "/".join(pathlib.PurePosixPath(file_name.replace("\\", "/")).parts[-2:])


def match_detections(
    detections: list[Detection], file_names: list[str], image_ids: list[int]
) -> tuple[list[tuple[int, Detection]], int]:
    """Assign detections to frames.

    Args:
      detections: what `read_detections` gave.
      file_names: of the frames.
      image_ids: of the same frames.

    Returns:
      (frame index, detection) for each one that names a listed frame, ordered by frame and, within it, as in the file;
      and the number of those that name no listed frame.
    """
    by_name = {frame_key(name): i for i, name in enumerate(file_names)}
    by_id = {int(identity): i for i, identity in enumerate(image_ids)}
    matched = []
    for detection in detections:
        if detection.image_name is not None:
            frame = by_name.get(frame_key(detection.image_name))
        else:
            frame = by_id.get(detection.image_id)
        if frame is not None:
            matched.append((frame, detection))
    matched.sort(key=lambda pair: pair[0])
    return matched, len(detections) - len(matched)


def other_size(matched: list[tuple[int, Detection]], sizes: Sequence[tuple[int, int] | None]) -> str | None:
    """What is wrong where a box file gives an image another size than it has; None where all agree.

    Args:
      matched: what `match_detections` gave.
      sizes: (height, width) of the frames, pixels, or None where it is not known.
    """
    for frame, detection in matched:
        size = None if sizes[frame] is None else (int(sizes[frame][1]), int(sizes[frame][0]))
        if None not in (size, detection.size) and size != detection.size:
            return (
                f"{detection.place} is of an image of {detection.size[0]}×{detection.size[1]}, the image has "
                f"{size[0]}×{size[1]}; give boxes of these images, or scale boxes and sizes to them"
            )
    return None

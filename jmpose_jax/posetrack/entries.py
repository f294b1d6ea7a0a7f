"""What a PoseTrack file of either form says, as plain typed entries: read once, for training and for the metrics."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError

HEAD_SIZE_FACTOR = 0.6  # of the head box's diagonal, as MPII and PoseTrack define it


@dataclasses.dataclass(frozen=True)
class ImageEntry:
    """One image of a video.

    Attributes:
      where: file and place, the start of messages.
      image_id: the file's id; None in the PoseTrack17 form, which has none.
      file_name: as the file gives it; None where predictions leave it out.
      is_labeled: the file's flag; None where it gives none. The official evaluator does not read it.
      size: (height, width) in pixels that the file states, or None.
      ignore_regions: polygons, each float64 [P, 2], P >= 1.
      raw: the JSON object.
    """

    where: str
    image_id: int | None
    file_name: str | None
    is_labeled: bool | None
    size: tuple[int, int] | None
    ignore_regions: tuple[np.ndarray, ...]
    raw: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PersonEntry:
    """One person in one image.

    Attributes:
      where: file and place, the start of messages.
      image: place of the image among the file's images.
      keypoints: float64 [17, 3], (x, y, visibility) in image pixels, order of `skeletons.POSETRACK17`; zeros where the
        file has no such joint.
      present: bool [17], the joints that the official evaluator counts.
      scores: float64 [17], NaN where the file gives none.
      box: float64 [4], (x, y, width, height), or None.
      head_box: float64 [4], (x, y, width, height), or None.
      track_id: identity within the video; None where it is left out or negative.
      identity: the annotation's own id, or None.
      person_index: of predictions, the annotated person whose box was used; -1 without it.
      listed: False for a rectangle of the PoseTrack17 form without a list of points, which the evaluator leaves out.
      raw: the JSON object; its lists per joint in the order of `skeletons.POSETRACK17`.
    """

    where: str
    image: int
    keypoints: np.ndarray
    present: np.ndarray
    scores: np.ndarray
    box: np.ndarray | None
    head_box: np.ndarray | None
    track_id: int | None
    identity: int | None
    person_index: int
    listed: bool
    raw: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class AnnotationFile:
    """A whole file.

    Attributes:
      path: the file.
      form: "posetrack18" or "posetrack17".
      images: in the order of the file.
      people: in the order of the file.
      oddities: in what the file departs from the published form without being at fault.
      content: the JSON object.
      unnamed_joints: whether `categories` names no joints, so that PoseTrack18's order is assumed.
    """

    path: pathlib.Path
    form: str
    images: tuple[ImageEntry, ...]
    people: tuple[PersonEntry, ...]
    oddities: tuple[str, ...]
    content: dict[str, Any]
    unnamed_joints: bool = False


def head_size(head_box: np.ndarray | None) -> float:
    """The length in pixels that PCKh measures by: 0.6 × diagonal of a head box; NaN without a box or extent."""
    size = 0.0 if head_box is None else HEAD_SIZE_FACTOR * float(np.hypot(head_box[2], head_box[3]))
    return size if size > 0 else float("nan")


def check_absent(keypoints: np.ndarray, where: str) -> None:
    """Raises InputError where an invisible joint of [17, 3] lies at (-1, -1), as absent ones do in other forms."""
    if ((keypoints[:, :2] == -1).all(axis=1) & (keypoints[:, 2] <= 0)).any():
        raise InputError(
            f"{where}: a joint lies at (-1, -1), where it would count as annotated; "
            "write 0, 0, 0 for one that is absent"
        )

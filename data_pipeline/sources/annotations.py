"""What every reader of annotations returns: videos, their frames, and the people in them."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jmpose_jax.skeletons import POSETRACK17

BOX_MARGIN = 1.3  # PoseTrack18's person box is the extent of the keypoints enlarged by this factor


@dataclasses.dataclass(frozen=True)
class Person:
    """One annotated person in one frame.

    Attributes:
      keypoints: float64 [17, 3], (x, y, visibility) in image pixels, order of `skeletons.POSETRACK17`; zeros where a
        joint is not annotated.
      box: float64 [4], (x, y, width, height) as annotated: it may leave the image.
      head_box: float64 [4], (x, y, width, height); zeros where there is none.
      track_id: identity within the video, -1 where unknown.
      annotation_id: the annotation's own id, -1 where unknown.
      extras: further per-person values of the file, e.g. "joint_cause" and "joint_speed" of the embedded data set.
    """

    keypoints: np.ndarray
    box: np.ndarray
    head_box: np.ndarray
    track_id: int
    annotation_id: int = -1
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def annotated(self) -> np.ndarray:
        """bool [17]: which joints are annotated. As for the official evaluator a joint at (0, 0) is absent."""
        return np.any(self.keypoints[:, :2] != 0, axis=1)


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
      file_name: the image as the annotation names it.
      path: the image on disk (it need not exist).
      image_id: the data set's id of the frame.
      number: position in time; neighbours differ by 1.
      is_labeled: whether the annotators worked on this frame.
      persons: the people, in the order of the file.
      ignore_regions: polygons, each float64 [N, 2] in image pixels.
      extras: further per-frame values of the file.
      stated_size: (height, width) that the annotations give, or None.
      turn: EXIF orientation by which the image is turned upright when it is stored; 1 leaves the file as it is.
    """

    file_name: str
    path: pathlib.Path
    image_id: int
    number: int
    is_labeled: bool
    persons: tuple[Person, ...] = ()
    ignore_regions: tuple[np.ndarray, ...] = ()
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)
    stated_size: tuple[int, int] | None = None
    turn: int = 1


@dataclasses.dataclass(frozen=True)
class Video:
    """One video with its annotations.

    Attributes:
      name: unique within the split.
      annotation_file: where the annotations came from.
      frames: in the order of time.
      extras: further values that hold for the whole video.
      oddities: in what its file departs from the published form; `prepare` writes the usual one.
    """

    name: str
    annotation_file: pathlib.Path
    frames: tuple[Frame, ...]
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)
    oddities: tuple[str, ...] = ()


def box_of_keypoints(keypoints: np.ndarray) -> np.ndarray:
    """PoseTrack18's person box of keypoints [17, 3]: their extent times 1.3 about its centre; zeros without any."""
    keypoints = np.asarray(keypoints, np.float32)
    points = keypoints[np.any(keypoints[:, :2] != 0, axis=1), :2]
    if not len(points):
        return np.zeros(4, np.float32)
    low, high = points.min(0), points.max(0)
    size = (high - low) * BOX_MARGIN
    return np.concatenate([(low + high - size) / 2, size]).astype(np.float32)


def to_posetrack18(video: Video) -> dict[str, Any]:
    """The video in the form of a PoseTrack18 annotation file, for files that came in another one.

    What is not known (head box, track) is left out, so that nobody takes zeros for it.
    """
    images, annotations = [], []
    for frame in video.frames:
        size = {} if frame.stated_size is None else dict(zip(("height", "width"), frame.stated_size))
        images.append(
            {
                "vid_id": video.name.split("_")[0],
                "nframes": len(video.frames),
                **frame.extras,
                **size,
                "file_name": frame.file_name,
                "id": frame.image_id,
                "frame_id": frame.image_id,
                "is_labeled": frame.is_labeled,
                "ignore_regions_x": [region[:, 0].tolist() for region in frame.ignore_regions],
                "ignore_regions_y": [region[:, 1].tolist() for region in frame.ignore_regions],
            }
        )
        for index, person in enumerate(frame.persons):
            identity = person.annotation_id if person.annotation_id >= 0 else frame.image_id * 100 + index
            annotation = {
                "id": identity,
                "image_id": frame.image_id,
                "category_id": 1,
                "bbox": person.box.tolist(),
                "keypoints": person.keypoints.ravel().tolist(),
                "scores": [],
                **person.extras,
            }
            if person.track_id >= 0:
                annotation["track_id"] = person.track_id
            if person.head_box.any():
                annotation["bbox_head"] = person.head_box.tolist()
            annotations.append(annotation)
    category = {
        "supercategory": "person",
        "id": 1,
        "name": "person",
        "keypoints": list(POSETRACK17.joints),
        "skeleton": [[a + 1, b + 1] for a, b in POSETRACK17.limbs],
    }
    return {**video.extras, "images": images, "annotations": annotations, "categories": [category]}

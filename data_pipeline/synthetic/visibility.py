"""Why a joint is seen or not, read off the label map."""

import enum

import numpy as np

from data_pipeline.synthetic.draw import person_label
from data_pipeline.synthetic.parts import JOINT_PARTS, NUM_PARTS, PersonGeometry

_SAME_DEPTH = 0.06  # metres; a part this close to the joint is part of the joint's surroundings
NUM_JOINTS = len(JOINT_PARTS)


class Cause(enum.IntEnum):
    """State of a joint in one frame."""

    NONE = 0  # no such joint in the file's order (the ears)
    SEEN = 1
    SELF_OCCLUDED = 2  # behind another part of the same person
    HIDDEN = 3  # behind another person or an occluder
    OUT_OF_FRAME = 4


def joint_causes(labels: np.ndarray, geometry: PersonGeometry, person: int, moment: int, num_labels: int) -> np.ndarray:
    """States of a person's joints in one frame.

    Args:
      labels: uint8 [H, W], the label map.
      geometry: of the person.
      person: index of the person in the scene.
      moment: which of the geometry's moments the label map shows.
      num_labels: labels from here on are occluders.

    Returns:
      int [15] of `Cause`.
    """
    height, width = labels.shape
    causes = np.full(NUM_JOINTS, Cause.OUT_OF_FRAME, int)
    pixels = np.round(geometry.points[moment, :NUM_JOINTS]).astype(int)
    inside = ((pixels >= 0) & (pixels < (width, height))).all(-1)
    for joint in np.flatnonzero(inside):
        label = int(labels[pixels[joint, 1], pixels[joint, 0]])
        owner, part = divmod(label - 1, NUM_PARTS)
        if label == 0:
            causes[joint] = Cause.SEEN  # on the very rim of the body
        elif label >= num_labels or owner != person:
            causes[joint] = Cause.HIDDEN
        elif part in JOINT_PARTS[joint] or (
            geometry.depth[moment, part] > geometry.point_depth[moment, joint] - _SAME_DEPTH
        ):
            causes[joint] = Cause.SEEN
        else:
            causes[joint] = Cause.SELF_OCCLUDED
    return causes


def findable(causes: np.ndarray, delta: int) -> np.ndarray:
    """Which joints an annotator who steps through the video can place.

    Args:
      causes: int [N, K] of `Cause` over the N frames of a video.
      delta: how many frames the annotator looks back and ahead.

    Returns:
      bool [N, K]: inside the image, and not hidden by others in at least one frame within `delta`.
    """
    shown = (causes == Cause.SEEN) | (causes == Cause.SELF_OCCLUDED)
    near = np.zeros_like(shown)
    for frame in range(len(causes)):
        near[frame] = shown[max(0, frame - delta) : frame + delta + 1].any(0)
    return near & (causes != Cause.OUT_OF_FRAME)


def first_occluder_label(num_people: int) -> int:
    """The lowest label that is no person's."""
    return person_label(num_people, 0)

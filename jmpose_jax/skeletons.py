"""Joint names, orders, mirror pairs and limbs of the data sets, each stated once."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmpose_jax.checks import field
from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """The joints of a data set in their stored order.

    Attributes:
      name: the name used in configs.
      joints: joint names, in order.
      flip_pairs: index pairs that a horizontal mirror exchanges.
      limbs: index pairs to draw.
      upper_body: indices that count as upper body in the half-body augmentation.
    """

    name: str
    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, int], ...]
    upper_body: tuple[int, ...]

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def flip_permutation(self) -> np.ndarray:
        """int64 [K]: `mirrored = joints[flip_permutation]`."""
        permutation = np.arange(self.num_joints)
        for a, b in self.flip_pairs:
            permutation[[a, b]] = [b, a]
        return permutation

    def index(self, joint: str) -> int:
        return self.joints.index(joint)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Any, where: str) -> "Skeleton":
        """The skeleton of `to_dict`.

        Args:
          content: as JSON holds it.
          where: file and key, for messages.

        Raises:
          InputError: something is missing or of another type, names repeat, or an index is of no joint.
        """
        joints = tuple(field({"": each}, "", str, f"{where}: joints") for each in field(content, "joints", list, where))
        if not joints or len(set(joints)) != len(joints):
            raise InputError(f"{where}: 'joints' must be names, each once; found {list(joints)[:5]}")
        pairs = {name: _indices(content, name, 2, len(joints), where) for name in ("flip_pairs", "limbs")}
        mirrored = [index for pair in pairs["flip_pairs"] for index in pair]
        if len(set(mirrored)) != len(mirrored):
            raise InputError(f"{where}: 'flip_pairs' names a joint twice: {content['flip_pairs']}")
        upper_body = tuple(index for (index,) in _indices(content, "upper_body", 1, len(joints), where))
        return cls(field(content, "name", str, where), joints, pairs["flip_pairs"], pairs["limbs"], upper_body)


def _indices(
    content: Mapping[str, Any], name: str, length: int, joints: int, where: str
) -> tuple[tuple[int, ...], ...]:
    """A list of tuples of joints, or of joints where `length` is 1."""
    found = []
    for entry in field(content, name, list, where):
        indices = [entry] if length == 1 else entry
        good = isinstance(indices, list) and len(indices) == length
        if not good or not all(type(index) is int and 0 <= index < joints for index in indices):
            raise InputError(f"{where}: {name!r} must name joints 0 to {joints - 1}, {length} at a time; found {entry}")
        found.append(tuple(indices))
    return tuple(found)


# The 15 joints that PoseTrack annotates and scores, in the order of the official evaluator.
POSETRACK15 = Skeleton(
    name="posetrack15",
    joints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "head_bottom", "nose", "head_top",
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
    limbs=((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (9, 10), (10, 11), (8, 2), (9, 3),
           (12, 13), (13, 14)),
    upper_body=(6, 7, 8, 9, 10, 11, 12, 13, 14),
)  # fmt: skip

# The 17 slots of the PoseTrack18 and PoseTrack21 files; the ears are never annotated.
POSETRACK17 = Skeleton(
    name="posetrack17",
    joints=(
        "nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    flip_pairs=((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9),
           (8, 10), (1, 0), (0, 2)),
    upper_body=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)  # fmt: skip

COCO17 = Skeleton(
    name="coco17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9),
           (8, 10), (0, 1), (0, 2), (1, 3), (2, 4)),
    upper_body=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)  # fmt: skip

SKELETONS = {s.name: s for s in (POSETRACK15, POSETRACK17, COCO17)}

# POSETRACK15.joints[i] == POSETRACK17.joints[POSETRACK17_TO_15[i]].
POSETRACK17_TO_15 = tuple(POSETRACK17.index(joint) for joint in POSETRACK15.joints)


def joint_map(stored: Skeleton, wanted: Skeleton) -> tuple[int, ...]:
    """For each joint of `wanted` its place in `stored`, by name; -1 where `stored` does not have it."""
    return tuple(stored.joints.index(joint) if joint in stored.joints else -1 for joint in wanted.joints)


# The columns of the PoseTrack result tables, as indices into POSETRACK15. "Total" is the mean over the 15 joints.
JOINT_GROUPS = {
    "Head": (14, 12, 13),
    "Shou": (8, 9),
    "Elb": (7, 10),
    "Wri": (6, 11),
    "Hip": (2, 3),
    "Knee": (1, 4),
    "Ankl": (0, 5),
}

"""What the readers of sequences give: estimated poses of one person over time, the true ones beside them."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jmpose_jax.errors import InputError

METRES, PIXELS, ROTATIONS = "m", "px", "6d"  # units of coordinates; of the last, columns of rotation matrices

# The 14 joints of 3DPW and AIST++ in the lineage's order; motion files are read into them too.
LSP14 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "head_bottom", "head_top",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class PoseSequence:
    """One person in T consecutive frames.

    Attributes:
      name: of the sequence, unique within its split.
      poses: float32 [T, K, D] as an estimator gave them, NaN where it gave none; None where noise is to be drawn.
      target: float32 [T, K, D], the true ones, NaN where they are not known.
      scale: float32 [T], what the thresholds of PCK are shares of, in the unit of the poses; None for the longer side
        of the box around the true joints.
      size: (width, height) of the picture in pixels, or None.
    """

    name: str
    poses: np.ndarray | None
    target: np.ndarray
    scale: np.ndarray | None = None
    size: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raises InputError where the two sides do not fit together."""
        if self.target.ndim != 3 or not all(self.target.shape):
            raise InputError(f"{self.name}: poses must be [frames, joints, dimensions], not {list(self.target.shape)}")
        if self.poses is not None and self.poses.shape != self.target.shape:
            raise InputError(
                f"{self.name}: estimated poses are {list(self.poses.shape)}, the true ones {list(self.target.shape)} "
                "[frames, joints, dimensions]; give the estimates of the same frames and joints"
            )
        if self.scale is not None and self.scale.shape != self.target.shape[:1]:
            raise InputError(f"{self.name}: {len(self.target)} frames and {len(self.scale)} boxes; give one a frame")

    def __len__(self) -> int:
        return len(self.target)


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceSet:
    """The sequences of a split.

    Attributes:
      sequences: of them.
      joints: names of the K joints.
      unit: "m", "px" or "6d".
      roots: joints whose mean is the root; () where poses stand where they are.
      skipped: what was left out, and how much of it.
    """

    sequences: tuple[PoseSequence, ...]
    joints: tuple[str, ...]
    unit: str
    roots: tuple[int, ...] = ()
    skipped: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InputError where there is no sequence, a name stands twice, or joints or dimensions differ."""
        if not self.sequences:
            left_out = ", ".join(f"{count} {what}" for what, count in self.skipped.items() if count)
            raise InputError(f"the split has no sequence{f' (left out: {left_out})' if left_out else ''}")
        shapes = {sequence.target.shape[1:] for sequence in self.sequences}
        if len(shapes) > 1 or next(iter(shapes))[0] != len(self.joints):
            raise InputError(
                f"the sequences have {sorted(shapes)} joints and dimensions, all must have {len(self.joints)} joints"
            )
        names = [sequence.name for sequence in self.sequences]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"two sequences are named {twice}; give each a name of its own")

    @property
    def dimensions(self) -> int:
        """D."""
        return self.sequences[0].target.shape[2]

    @property
    def lengths(self) -> np.ndarray:
        """int64 [sequences], frames."""
        return np.array([len(sequence) for sequence in self.sequences], np.int64)


def mirror_pairs(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Places of the joints that a mirror exchanges, (left, right), by their names."""
    return tuple(
        (place, joints.index(f"right_{name.removeprefix('left_')}"))
        for place, name in enumerate(joints)
        if name.startswith("left_") and f"right_{name.removeprefix('left_')}" in joints
    )

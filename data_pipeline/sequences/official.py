"""The data of DeciWatch and HANet as people have them: .npz files of whole splits, true poses and an estimator's.

ROOT/groundtruth_poses/NAME/NAME_gt_SPLIT.npz and ROOT/detected_poses/NAME/ESTIMATOR/NAME_ESTIMATOR_SPLIT.npz, one
entry a sequence under each key (data_and_metrics.md 4).
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from data_pipeline.sequences.object_arrays import read_object_arrays
from data_pipeline.sequences.records import LSP14, METRES, PIXELS, ROTATIONS, PoseSequence, SequenceSet
from jmpose_jax.errors import InputError

JHMDB15 = (
    "neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip", "right_elbow", "left_elbow",
    "right_knee", "left_knee", "right_wrist", "left_wrist", "right_ankle", "left_ankle",
)  # fmt: skip
H36M17 = (
    "hip", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle", "spine", "neck", "head",
    "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
OVERLAPS = ("as_published", "clean")
REPRESENTATIONS = ("joints", "rotations")
BODY_JOINTS = 24  # of the body model, whose rotations are 24 x 3 numbers
# The 14 joints that 3DPW is scored by, in the 17 of its files.
OF_17 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One data set.

    Attributes:
      name: in files.
      key: of the joints.
      joints: in the order of the files.
      dimensions: of a joint.
      roots: joints whose mean is the root; () for poses in pictures.
      kept: places of the joints that are used, in this order; () for all.
      unit: of the coordinates.
    """

    name: str
    key: str
    joints: tuple[str, ...]
    dimensions: int
    roots: tuple[int, ...]
    kept: tuple[int, ...] = ()
    unit: str = METRES


LAYOUTS = {
    "jhmdb": Layout("jhmdb", "joints_2d", JHMDB15, 2, (), unit=PIXELS),
    "h36m": Layout("h36m", "joints_3d", H36M17, 3, (0,)),
    "pw3d": Layout("pw3d", "joints_3d", H36M17, 3, (2, 3), OF_17),
    "aist": Layout("aist", "joints_3d", LSP14, 3, (2, 3)),
}


def read_official(
    layout: Layout,
    root: str,
    estimator: str,
    split: str,
    representation: str = "joints",
    overlap: str = "as_published",
) -> SequenceSet:
    """The sequences of a split.

    Args:
      layout: of the data set.
      root: folder with `groundtruth_poses` and `detected_poses`.
      estimator: name of the folder of its poses.
      split: "train" or "test".
      representation: "joints"; or "rotations", the body model's 24 as the first two columns of their matrices.
      overlap: of videos in both splits, as those of Sub-JHMDB's three splits probably are. "as_published" keeps them;
        "clean" leaves the training sequences out whose video is a test sequence's, and counts them.

    Raises:
      InputError: a file is missing or at fault, or the two sides do not fit together.
    """
    if representation not in REPRESENTATIONS:
        raise InputError(f"representation={representation!r} is not known; use one of {', '.join(REPRESENTATIONS)}")
    if overlap not in OVERLAPS:
        raise InputError(f"overlap={overlap!r} is not known; use one of {', '.join(OVERLAPS)}")
    if not root or not estimator:
        raise InputError(f"{layout.name} needs root, the folder of its .npz files, and the estimator's name")
    key = layout.key if representation == "joints" else "pose"
    truth_file, found_file = _files(layout, root, estimator, split)
    truth = read_object_arrays(truth_file, (key, "imgname", "imgshape", "bbox"))
    found = read_object_arrays(found_file, (key, "imgname"))
    for path, content in ((truth_file, truth), (found_file, found)):
        if key not in content:
            raise InputError(f"{path}: has no array {key!r}; it is not of the layout of {layout.name}")
    if len(truth[key]) != len(found[key]):
        raise InputError(f"{found_file}: {len(found[key])} sequences, {truth_file} has {len(truth[key])}")
    tested = set()
    if overlap == "clean" and split == "train":
        tests = read_object_arrays(_files(layout, root, estimator, "test")[0], ("imgname",)).get("imgname", [])
        tested = {video_of(names) for names in tests}
    sequences, left_out = [], 0
    for place, (target, poses) in enumerate(zip(truth[key], found[key])):
        video = video_of(truth["imgname"][place]) if place < len(truth.get("imgname", [])) else ""
        if tested and video in tested:
            left_out += 1
            continue
        name = f"{place:05d}" + (f":{video}" if video else "")
        read = _joints if representation == "joints" else _rotations
        try:
            poses, target = read(layout, poses), read(layout, target)
            scale, size = _boxes(truth, place, len(target))
            sequences.append(PoseSequence(name, poses, target, scale, size))
        except InputError as fault:
            raise InputError(f"{found_file}: sequence {place}: {fault}") from None
    skipped = {"sequences whose video is a test sequence's": left_out}
    if representation == "rotations":
        return SequenceSet(tuple(sequences), tuple(f"rotation{i}" for i in range(BODY_JOINTS)), ROTATIONS, (), skipped)
    joints = tuple(layout.joints[place] for place in layout.kept) if layout.kept else layout.joints
    return SequenceSet(tuple(sequences), joints, layout.unit, layout.roots, skipped)


def video_of(names: Any) -> str:
    """The video that a sequence's pictures are of: the path of the first without its last part."""
    first = names if isinstance(names, str) else (list(np.ravel(np.asarray(names, dtype=object))) or [""])[0]
    first = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
    return str(pathlib.PurePosixPath(first).parent) if "/" in first else first


def _files(layout: Layout, root: str, estimator: str, split: str) -> tuple[pathlib.Path, pathlib.Path]:
    folder, name = pathlib.Path(root), layout.name
    if not folder.is_dir():
        raise InputError(f"{root}: no such folder; give the one with groundtruth_poses and detected_poses")
    return (
        folder / "groundtruth_poses" / name / f"{name}_gt_{split}.npz",
        folder / "detected_poses" / name / estimator / f"{name}_{estimator}_{split}.npz",
    )


def _rows(value: Any, width: int, what: str) -> np.ndarray:
    """float32 [T, width] from [T, width] or [T, a, b] of as many numbers."""
    try:
        array = np.asarray(value, np.float32)
        return array.reshape(len(array), -1) if array.size and array.size == len(array) * width else _raise(array, what)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} are no numbers ({error})") from None


def _raise(array: np.ndarray, what: str) -> np.ndarray:
    raise InputError(f"{what} have the shape {list(array.shape)}; another joint count than the layout's?")


def _joints(layout: Layout, value: Any) -> np.ndarray:
    width = len(layout.joints) * layout.dimensions
    poses = _rows(value, width, f"poses of {len(layout.joints)} joints in {layout.dimensions} dimensions")
    poses = poses.reshape(len(poses), len(layout.joints), layout.dimensions)
    return np.ascontiguousarray(poses[:, list(layout.kept)]) if layout.kept else poses


def _rotations(layout: Layout, value: Any) -> np.ndarray:
    """float32 [T, 24, 6]: the first two columns of each rotation's matrix, row by row, as `rotations.to_six`."""
    from scipy.spatial.transform import Rotation

    vectors = _rows(value, BODY_JOINTS * 3, "rotations of 24 joints")
    known = np.isfinite(vectors).reshape(-1, 3).all(axis=1)
    matrices = Rotation.from_rotvec(np.nan_to_num(vectors.reshape(-1, 3).astype(np.float64))).as_matrix()
    columns = matrices[:, :, :2].reshape(-1, 6)
    columns[~known] = np.nan
    return columns.reshape(len(vectors), BODY_JOINTS, 6).astype(np.float32)


def _boxes(truth: dict[str, list[Any]], place: int, frames: int) -> tuple[np.ndarray | None, tuple | None]:
    """The longer side of each frame's box, and the picture's (width, height), where the files have them."""
    scale, size = None, None
    if place < len(truth.get("bbox", [])):
        boxes = _rows(truth["bbox"][place], 4, "boxes of 4 numbers")
        scale = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    if place < len(truth.get("imgshape", [])):
        shape = np.asarray(truth["imgshape"][place], np.float64)
        shape = shape.reshape(-1, shape.shape[-1])[0] if shape.ndim else shape
        if shape.ndim != 1 or len(shape) < 2 or not (shape[:2] > 0).all():
            raise InputError(f"imgshape is {str(shape.tolist())[:40]}; (height, width, …) is needed")
        size = (float(shape[1]), float(shape[0]))
    return scale, size

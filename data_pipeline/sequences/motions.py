"""Motion files as true poses of 14 joints in space: CMU's captures, DeepMimic's clips, and motions that we make.

The axes are x to the person's left, y up, z to the front, in metres; 30 frames a second.
"""

import pathlib

import numpy as np

from data_pipeline.sequences.records import LSP14, METRES, PIXELS, PoseSequence, SequenceSet
from data_pipeline.synthetic.body import POINT, Body, forward_kinematics, random_body
from data_pipeline.synthetic.mocap import RecordedMotion, Recording, load_library
from data_pipeline.synthetic.motions import MOTIONS, Motion, random_motion
from jmpose_jax.errors import InputError

FPS = 30
ROOTS = (LSP14.index("right_hip"), LSP14.index("left_hip"))
SPLITS = ("train", "val", "test")

CMU_FILE, CMU_UNIT = "cmu_expmap_30fps.npz", 0.05644  # metres
CMU_SKELETON = "cmu_skeleton38.json"
# Places of our joints among CMU's 38.
CMU_JOINTS = (10, 9, 8, 2, 3, 4, 32, 31, 30, 21, 22, 23, 17, 19)

# DeepMimic's humanoid in our bodies' lengths, metres.
HUMANOID = Body(
    hip=0.085, shoulder=0.183, spine=0.48, head=0.25, upper_arm=0.275, forearm=0.259, thigh=0.4215, shank=0.4099,
    stature=0.95, girth=1.0,
)  # fmt: skip
OF_BODY = [POINT[name] for name in LSP14]

MADE = {"train": 240, "val": 24, "test": 48}  # sequences of the motions that we make
MADE_FRAMES = 150
IMAGE = (640.0, 480.0)  # pixels, of the imagined camera
FOCAL, NEAR, FAR = 600.0, 3.0, 6.0  # pixels, metres


def read_motions(
    root: str, split: str, dimensions: int = 3, views: int = 2, seed: int = 0, shortest: int = 3
) -> SequenceSet:
    """The true poses of a split; their estimates are drawn from a noise model later.

    Args:
      root: folder with CMU's `cmu_expmap_30fps.npz` and `cmu_skeleton38.json`, or with DeepMimic's motion files; "" for
        motions that we make, in which the bodies and motions of the splits differ.
      split: "train" or "test", of motions that we make "val" too.
      dimensions: 3, or 2 for the picture of an imagined camera that sees each sequence `views` times.
      views: for 2 dimensions.
      seed: of what is made, and of the cameras.
      shortest: sequences of fewer frames are left out and counted.

    Raises:
      InputError: no motion files, a malformed one, or another split or number of dimensions.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r}: motions have {', '.join(SPLITS)}")
    if dimensions not in (2, 3):
        raise InputError(f"dimensions={dimensions}: motions have 3, or 2 for their pictures")
    if not root:
        found = _made(split, seed)
    elif (pathlib.Path(root) / CMU_FILE).is_file():
        found = _cmu(pathlib.Path(root), split)
    elif pathlib.Path(root).is_dir():
        found = _deepmimic(root, split)
    else:
        raise InputError(f"{root}: no such folder; give one with {CMU_FILE} or DeepMimic's files, or '' for our own")
    long = {name: poses for name, poses in found.items() if len(poses) >= shortest}
    skipped = {f"sequences of under {shortest} frames": len(found) - len(long)}
    if dimensions == 3:
        sequences = [PoseSequence(name, None, poses.astype(np.float32)) for name, poses in long.items()]
        return SequenceSet(tuple(sequences), LSP14, METRES, ROOTS, skipped)
    sequences = []
    for place, (name, poses) in enumerate(long.items()):
        rng = np.random.default_rng([seed, SPLITS.index(split), place])
        for view in range(views):
            seen = picture(poses, rng).astype(np.float32)
            sequences.append(PoseSequence(f"{name}@{view}", None, seen, size=IMAGE))
    return SequenceSet(tuple(sequences), LSP14, PIXELS, (), skipped)


def turned(poses: np.ndarray, angle: float) -> np.ndarray:
    """Poses [..., 3] turned about the vertical, the axis y, by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return poses @ np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]], poses.dtype)


def picture(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poses as a camera at hip height sees them that follows the person; drawn: from which side and how far.

    Args:
      poses: float [T, K, 3], metres.
      rng: source of direction and distance.

    Returns:
      float [T, K, 2], (x, y) in pixels of a picture of 640 x 480.
    """
    middle = poses.mean(axis=1)
    around = poses - _smooth_way(middle)[:, None]
    around = turned(around, rng.uniform(0, 2 * np.pi))
    depth = rng.uniform(NEAR, FAR) + around[..., 2:]
    return np.concatenate([-around[..., :1], -around[..., 1:2]], -1) * FOCAL / depth + np.array(IMAGE) / 2


def _smooth_way(middle: np.ndarray) -> np.ndarray:
    """The straight way of the person over the clip, in which a camera's operator would follow."""
    share = np.linspace(0, 1, len(middle))[:, None]
    return middle.mean(axis=0) + (share - 0.5) * (middle[-1] - middle[0])


def _made(split: str, seed: int) -> dict[str, np.ndarray]:
    """Random bodies that move by random motions, others in each split."""
    names, found = sorted(MOTIONS), {}
    for number in range(MADE[split]):
        rng = np.random.default_rng([seed, 1 + SPLITS.index(split), number])
        name = names[number % len(names)]
        found[f"{name}_{number:03d}"] = _played(random_motion(name, rng), random_body(rng), MADE_FRAMES)
    return found


def _played(motion: Motion, body: Body, frames: int, start: float = 0.0) -> np.ndarray:
    """float64 [T, 14, 3], a motion from a moment on."""
    seconds = start + np.arange(frames) / FPS
    points = forward_kinematics(motion.pose(seconds), body)[:, OF_BODY]
    way = motion.travel(seconds)
    way[:, 1] += motion.lift(seconds)
    height = motion.pelvis_height(seconds, body)
    if height is not None:
        way[:, 1] += height
    return points + way[:, None]


def _deepmimic(root: str, split: str) -> dict[str, np.ndarray]:
    """DeepMimic's clips, every fourth of them for tests: 20 clips have no split of their own."""
    if split == "val":
        raise InputError(f"{root}: DeepMimic's clips have the splits train and test here")
    found = {}
    for number, recording in enumerate(load_library(root).recordings):
        if (number % 4 == 3) == (split == "test"):
            found[recording.name] = _recorded(recording)
    return found


def _recorded(recording: Recording) -> np.ndarray:
    frames = max(int(recording.seconds * FPS), 1)
    return _played(RecordedMotion(recording, 0.0, 0.0), HUMANOID, frames)


def _cmu(root: pathlib.Path, split: str) -> dict[str, np.ndarray]:
    """CMU's captures, in the split of the file."""
    from jmpose_jax import checks

    path, described = root / CMU_FILE, root / CMU_SKELETON
    skeleton = checks.read_json(described)
    parents = checks.field(skeleton, "parent", list, str(described))
    offsets = np.array(
        [checks.numbers(each, 3, f"{described}: offset") for each in checks.field(skeleton, "offset", list, "")]
    )
    found = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                if name.startswith(f"{split}/"):
                    rows = archive[name]
                    if rows.ndim != 2 or rows.shape[1] != 3 + 3 * len(parents) or not np.isfinite(rows).all():
                        raise InputError(f"{path}: {name} must be finite rows of {3 + 3 * len(parents)} numbers")
                    found[name.removeprefix(f"{split}/")] = CMU_UNIT * cmu_positions(rows, parents, offsets)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from error
    if not found:
        raise InputError(f"{path}: has no sequence of the split {split!r}; it has train and test")
    return found


def cmu_positions(rows: np.ndarray, parents: list[int], offsets: np.ndarray) -> np.ndarray:
    """Our joints from root translations and exponential maps.

    Args:
      rows: float [T, 3 + 3 · 38], the root's translation and each joint's rotation relative to its parent.
      parents: of the joints, -1 of the first.
      offsets: float [38, 3] from the parent, as row vectors.

    Returns:
      float64 [T, 14, 3], in the unit of the rows.
    """
    from scipy.spatial.transform import Rotation

    # Row vectors are turned by the matrix of the rotation vector as it stands. By its transpose, which rows would lead
    # one to expect, knees bend backwards and the standing foot of a walk slides by 5 cm a frame instead of 0.4.
    turns = Rotation.from_rotvec(rows[:, 3:].reshape(-1, 3).astype(np.float64)).as_matrix()
    turns = turns.reshape(len(rows), len(parents), 3, 3)
    worlds, places = np.empty_like(turns), np.empty((len(rows), len(parents), 3))
    for joint, parent in enumerate(parents):
        if parent < 0:
            worlds[:, joint], places[:, joint] = turns[:, joint], rows[:, :3] + offsets[joint]
        else:
            worlds[:, joint] = turns[:, joint] @ worlds[:, parent]
            places[:, joint] = places[:, parent] + np.einsum("i,tij->tj", offsets[joint], worlds[:, parent])
    return places[:, list(CMU_JOINTS)]

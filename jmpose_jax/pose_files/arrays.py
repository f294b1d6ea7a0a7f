"""Sequences of poses as arrays in an .npz.

| array | content |
|---|---|
| `poses` (or `keypoints`, `joints_2d`, `joints_3d`) | float [T, K, D] of a sequence, or [N, T, K, D]; D 2 or 3 |
| or `rotations` | float [T, J, 6] or [N, T, J, 6], see `body_model.rotations`; written as rotations again |
| or `pose` | float [T, 3 J] or [N, T, 3 J], axis times angle of J joints, as SMPL's; refined in six numbers |
| `valid` | bool [T, K] or [N, T, K]; what is false is missing, as NaN is |
| `scores` | float, as `valid`; 0 is missing |
| `lengths` | int [N], frames of each sequence, where shorter ones are padded |
| `fps` | frames a second |
| `joints` | K names |

Other arrays are kept, and so are the numbers of what was not changed. Python objects (pickles) are refused.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.npz import read_npz, write_npz
from jmpose_jax.pose_files.records import PoseFile, Track, make_track
from jmpose_jax.refinement.gaps import filled

NAMES = ("poses", "keypoints", "joints_2d", "joints_3d", "rotations", "pose")
SIX = 6  # numbers of a rotation
TURN = 2 * np.pi


def read_arrays(path: pathlib.Path) -> PoseFile:
    """The sequences of an .npz.

    Raises:
      InputError: as `read_npz`, or naming the array whose shape or type is at fault.
    """
    arrays = read_npz(path)
    named = [name for name in NAMES if name in arrays]
    if len(named) != 1:
        has = ", ".join(arrays)[:80] or "nothing"
        raise InputError(f"{path}: needs one of the arrays {', '.join(NAMES)}; it has {has}")
    key = named[0]
    poses = arrays[key]
    if not (np.issubdtype(poses.dtype, np.floating) or np.issubdtype(poses.dtype, np.integer)):
        raise InputError(f"{path}: {key} is {poses.dtype}, expected numbers; save coordinates")
    if key == "pose" and poses.ndim in (2, 3) and poses.shape[-1] % 3 == 0:
        poses = _six_numbers(poses)
    sizes = (SIX,) if key in ("rotations", "pose") else (2, 3)
    if poses.ndim not in (3, 4) or poses.shape[-1] not in sizes or 0 in poses.shape:
        wanted = "[T, 3 J] or [N, T, 3 J]" if key == "pose" else "[T, K, D] or [N, T, K, D] with D "
        wanted += "" if key == "pose" else " or ".join(map(str, sizes))
        raise InputError(f"{path}: {key} is {list(poses.shape)}, expected {wanted}")
    stacked = (poses if poses.ndim == 4 else poses[None]).astype(np.float64)
    shape = poses.shape[:-1]
    valid = _beside(path, arrays, "valid", shape, np.ones(shape, bool))
    if not np.isfinite(valid).all():
        raise InputError(f"{path}: valid holds what is not finite; save true and false")
    valid = valid.astype(bool).reshape(stacked.shape[:-1])
    scores = _beside(path, arrays, "scores", shape, np.full(shape, np.nan)).astype(np.float64)
    scores = scores.reshape(stacked.shape[:-1])
    lengths = arrays.get("lengths", np.full(len(stacked), stacked.shape[1]))
    numbers = lengths.shape == (len(stacked),) and lengths.dtype.kind in "iuf"
    if not (numbers and ((lengths >= 0) & (lengths <= stacked.shape[1]) & (lengths == np.floor(lengths))).all()):
        wanted = f"{len(stacked)} whole numbers from 0 to {stacked.shape[1]}"
        raise InputError(f"{path}: lengths must be {wanted}; correct them")
    tracks = []
    for n, length in enumerate(lengths.astype(int).tolist()):
        points = np.where(valid[n, :length, :, None], stacked[n, :length], np.nan)
        frames = np.arange(length)
        tracks.append(make_track(path, str(n), frames, points, scores[n, :length], frames))
    return PoseFile(
        path,
        "npz",
        _joints(path, arrays, poses.shape[-2]),
        poses.shape[-1],
        tuple(tracks),
        fps=_fps(path, arrays),
        content=(arrays, key),
    )


def write_arrays(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """The arrays with other poses, in the type that they had (whole numbers become float64).

    A joint whose pose is that of the file keeps its numbers; rotations are written anew where they were changed alone.

    Args: as `json_forms.write_json_form`.
    """
    arrays, key = dict(file.content[0]), file.content[1]
    before = arrays[key]
    of_type = before.dtype if np.issubdtype(before.dtype, np.floating) else np.dtype(np.float64)
    poses = before.astype(of_type)
    if key == "pose":
        poses = poses.reshape(*poses.shape[:-1], -1, 3)
    changed = {name: arrays[name].copy() for name in ("valid", "scores") if name in arrays}
    for n, (old, track) in enumerate(zip(file.tracks, tracks)):
        known = track.valid
        other = known & ~(old.poses == track.poses).all(axis=-1)
        place = (n, track.frames) if poses.ndim == 4 else (track.frames,)
        found = track.poses if file.dimensions != SIX else np.zeros((*other.shape, poses.shape[-1]))
        if file.dimensions == SIX and other.any():
            found[other] = _rotations(track.poses[other], key == "pose")
            if key == "pose":
                near = filled(np.where(old.valid[..., None], poses[place], np.nan), old.valid)
                found[other] = _near(found[other], near[other])
        poses[place] = np.where(other[..., None], found, poses[place])
        if "valid" in changed:
            flags = changed["valid"][place]
            changed["valid"][place] = np.where(known & (flags == 0), 1, flags)
        if "scores" in changed:
            changed["scores"][place] = np.where(known, track.scores, changed["scores"][place])
    write_npz(path, arrays | changed | {key: poses.reshape(before.shape)})


def _six_numbers(vectors: np.ndarray) -> np.ndarray:
    """Axis times angle [..., 3 J] as [..., J, 6]; what is no number stays none."""
    from jmpose_jax.body_model.rotations import from_axis_angle, to_six

    vectors = vectors.reshape(*vectors.shape[:-1], -1, 3)
    finite = np.isfinite(vectors).all(axis=-1)
    six = to_six(from_axis_angle(np.where(finite[..., None], vectors, 0).astype(np.float32)))
    return np.where(finite[..., None], np.asarray(six, np.float64), np.nan)


def _rotations(six: np.ndarray, as_vectors: bool) -> np.ndarray:
    """Six finite numbers [N, 6] of true rotations, or these as axis times angle [N, 3]; float64."""
    from jmpose_jax.body_model.rotations import from_six, to_axis_angle, to_six

    matrices = from_six(six.astype(np.float32))
    return np.asarray(to_axis_angle(matrices) if as_vectors else to_six(matrices), np.float64)


def _near(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Axis times angle [N, 3], by as many whole turns more as bring it nearest to others; float64."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    length = np.linalg.norm(others, axis=-1, keepdims=True)
    # No turn at all has any axis, that of the other too.
    own = np.divide(vectors, angle, out=np.zeros_like(vectors), where=angle > 1e-6)
    theirs = np.divide(others, length, out=np.zeros_like(vectors), where=length > 0)
    axis = np.where(angle > 1e-6, own, theirs)
    turns = np.round(((others * axis).sum(axis=-1, keepdims=True) - (vectors * axis).sum(-1, keepdims=True)) / TURN)
    return vectors + TURN * turns * axis


def _beside(
    path: pathlib.Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], default: np.ndarray
) -> np.ndarray:
    """An array of one value a joint."""
    found = arrays.get(name, default)
    if found.shape != shape or found.dtype.kind not in "biuf":
        raise InputError(f"{path}: {name} is {found.dtype} {list(found.shape)}, expected numbers {list(shape)}")
    return found


def _fps(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> float | None:
    if "fps" not in arrays:
        return None
    fps = arrays["fps"]
    if fps.size != 1 or fps.dtype.kind not in "iuf" or not np.isfinite(fps).all() or fps.item() <= 0:
        raise InputError(f"{path}: fps must be one number above 0; correct it")
    return float(fps.item())


def _joints(path: pathlib.Path, arrays: dict[str, np.ndarray], count: int) -> tuple[str, ...]:
    if "joints" not in arrays:
        return tuple(f"joint_{k}" for k in range(count))
    names = arrays["joints"]
    if names.shape != (count,) or names.dtype.kind != "U" or len(set(names.tolist())) < count:
        raise InputError(f"{path}: joints must be {count} different names, one a joint of the poses; correct them")
    return tuple(names.tolist())

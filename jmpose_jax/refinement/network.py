"""Trained networks (HANet, DeciWatch, SmoothNet) behind the interface of the filters.

A sequence is cut into windows that overlap; each is brought into the coordinates that the network was trained in and
back, and a frame in several windows gets the mean of what they say (methods.md 4.4). Joints that are missing stand,
for the network alone, on straight lines between the frames that know them.

What a checkpoint's config says of this, under `dataset`: `window`, frames (SmoothNet has its own);
`coordinates`: "image" (shares of `size`, (width, height)), "root" (less the mean of the joints `roots`), or "person"
(less the window's middle, over the size of the person); by default "person" in two dimensions and "root" in three.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.filters import body_size
from jmpose_jax.train.trained import load_model

# A window's poses float [W, K, D] -> (origin [W, 1, D], unit [D] or a number); the network sees (poses − origin)/unit.
Coordinates = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | float]]
COORDINATES = ("image", "root", "person")
SYSTEMS = ("hanet", "deciwatch", "smoothnet")
BATCH = 16  # windows at once


def in_image(size: tuple[float, float]) -> Coordinates:
    """Shares of the picture's (width, height)."""
    return lambda poses: (np.zeros((len(poses), 1, 2)), np.asarray(size, np.float64))


def from_root(roots: tuple[int, ...]) -> Coordinates:
    """Less the mean of some joints of the same frame, in the unit of the poses."""
    return lambda poses: (poses[:, list(roots)].mean(axis=1, keepdims=True), 1.0)


def of_person(poses: np.ndarray) -> tuple[np.ndarray, float]:
    """Less the middle of all joints of the window, in sizes of the person."""
    middle = np.broadcast_to(poses.mean(axis=(0, 1)), (len(poses), 1, poses.shape[2]))
    return middle, body_size(poses, np.ones(poses.shape[:2], bool))


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkRefiner:
    """A network as a refiner.

    Attributes:
      name: of the system.
      apply: float32 [B, W, K · D] -> the same, compiled once.
      window: W, frames.
      step: frames from the start of a window to that of the next.
      coordinates: what it was trained in.
    """

    name: str
    apply: Callable[[np.ndarray], jax.Array]
    window: int
    step: int
    coordinates: Coordinates = of_person
    needs_fps = False

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float | None = None) -> np.ndarray:
        """Refine poses; arguments and result as for `filters.OneEuro`, the frame rate is not used."""
        whole = _without_gaps(poses, valid)
        length, shape = len(poses), whole.shape[1:]
        if length < self.window:  # the last pose stays until the window is full
            whole = np.concatenate([whole, np.repeat(whole[-1:], self.window - length, axis=0)])
        starts = window_starts(len(whole), self.window, self.step)
        total, count = np.zeros_like(whole), np.zeros(len(whole))
        for first in range(0, len(starts), BATCH):
            some = starts[first : first + BATCH]
            given = np.zeros((BATCH, self.window, int(np.prod(shape))), np.float32)  # always as many: compiled once
            back = []
            for i, start in enumerate(some):
                part = whole[start : start + self.window]
                origin, unit = self.coordinates(part)
                given[i] = ((part - origin) / unit).reshape(self.window, -1)
                back.append((origin, unit))
            found = np.asarray(self.apply(given), np.float64)
            for i, (start, (origin, unit)) in enumerate(zip(some, back)):
                total[start : start + self.window] += found[i].reshape(self.window, *shape) * unit + origin
                count[start : start + self.window] += 1
        total /= count[:, None, None]
        return total[:length]


def window_starts(length: int, window: int, step: int) -> list[int]:
    """Where windows begin: every `step` frames, and one that ends with the sequence, so that no frame is left out.

    Args:
      length: frames, at least `window`.
      window, step: frames.
    """
    starts = list(range(0, length - window + 1, step))
    return starts if starts[-1] == length - window else [*starts, length - window]


def compiled(model: nn.Module, variables: Mapping[str, Any]) -> Callable[[np.ndarray], jax.Array]:
    """A network of `models.sequences` as `NetworkRefiner.apply`."""
    run = jax.jit(lambda given: model.apply(variables, given).poses)
    return lambda given: run(jnp.asarray(given, jnp.float32))


def from_checkpoint(path: str | os.PathLike, joints: int, dimensions: int) -> NetworkRefiner:
    """The network of a checkpoint, for poses of K joints in D dimensions.

    Args:
      path: workdir of a training, its `checkpoints/`, or one step's folder.
      joints: K; dimensions: D.

    Raises:
      InputError: no or an unreadable checkpoint, or one of another kind, joint count or dimension.
    """
    config, model, variables = load_model(path)
    name = config["model"]["name"]
    if name not in SYSTEMS:
        raise InputError(f"{path}: is of {name}, which refines no poses; give one of {', '.join(SYSTEMS)}")
    channels = getattr(model, "channels", None)
    if channels is not None and channels != joints * dimensions:
        raise InputError(
            f"{path}: its {name} has {channels} coordinates a pose, these poses {joints} joints in {dimensions} "
            f"dimensions ({joints * dimensions}); train one for them, or give --method"
        )
    dataset = config.get("dataset") if isinstance(config.get("dataset"), Mapping) else {}
    interval = getattr(model, "interval", 1)
    window = getattr(model, "window", None) or dataset.get("window") or 2 * interval + 1
    if not isinstance(window, int) or window < 1 or (window - 1) % interval and name != "smoothnet":
        raise InputError(f"{path}: dataset.window={window!r} is no 1 + a multiple of the interval {interval}")
    coordinates = _coordinates(path, dataset, joints, dimensions)
    # Windows as the official code lays them: every seen frame begins one; SmoothNet's overlap by half.
    step = max(window // 2, 1) if name == "smoothnet" else interval
    return NetworkRefiner(name, compiled(model, variables), window, step, coordinates)


def _coordinates(path: Any, dataset: Mapping[str, Any], joints: int, dimensions: int) -> Coordinates:
    kind = dataset.get("coordinates") or ("person" if dimensions == 2 else "root")
    if kind == "person":
        return of_person
    if kind == "root":
        roots = tuple(dataset.get("roots") or (0,))
        if not all(isinstance(root, int) and 0 <= root < joints for root in roots):
            raise InputError(f"{path}: dataset.roots={roots} are not of the {joints} joints")
        return from_root(roots)
    size = dataset.get("size")
    if kind == "image" and dimensions == 2 and size is not None and len(size) == 2 and min(size) > 0:
        return in_image(tuple(size))
    raise InputError(
        f"{path}: dataset.coordinates={kind!r} with size={size} is none of {', '.join(COORDINATES)} in {dimensions} "
        "dimensions"
    )


def _without_gaps(poses: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Poses [T, K, D] without NaN: on straight lines, held at the ends; a joint never seen is in the others' middle."""
    if valid.all():
        return np.asarray(poses, np.float64)
    whole = np.where(valid[..., None], poses, np.nan)
    frames = np.arange(len(poses))
    seen = valid.any(axis=0)
    for joint in np.flatnonzero(seen & ~valid.all(axis=0)):
        known = np.flatnonzero(valid[:, joint])
        for axis in range(whole.shape[2]):
            whole[:, joint, axis] = np.interp(frames, known, poses[known, joint, axis])
    if not seen.all():
        middle = whole[:, seen].mean(axis=1, keepdims=True) if seen.any() else 0.0
        whole = np.where(seen[None, :, None], whole, middle)
    return whole

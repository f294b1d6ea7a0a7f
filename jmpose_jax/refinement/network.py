"""Trained networks (HANet, DeciWatch, SmoothNet) behind the interface of the filters.

A sequence is cut into windows that overlap; each is brought into the coordinates that the network was trained in and
back, and a frame in several windows gets the mean of what they say (methods.md 4.4). Joints that are missing stand,
for the network alone, on straight lines between the frames that know them.

What a checkpoint's config says of this stands under `dataset`: `window` and `step`, frames; `coordinates`, `roots` and
`size`, see `coordinates.Coordinates`.
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
from jmpose_jax.refinement.coordinates import Coordinates
from jmpose_jax.refinement.gaps import filled
from jmpose_jax.refinement.runs import window_starts
from jmpose_jax.train.trained import load_model

SYSTEMS = ("hanet", "deciwatch", "smoothnet")
BATCH = 16  # windows at once


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkRefiner:
    """A network as a refiner.

    Attributes:
      name: of the system.
      apply: float32 [B, W, K · D] -> the same, compiled once.
      window: W, frames.
      step: frames from the start of a window to that of the next.
      coordinates: what it was trained in.
      interval: frames from one that HANet or DeciWatch looks at to the next; 1 of SmoothNet, which sees all.
    """

    name: str
    apply: Callable[[np.ndarray], jax.Array]
    window: int
    step: int
    coordinates: Coordinates = Coordinates("person")
    interval: int = 1
    needs_fps = False

    def __call__(self, poses: np.ndarray, valid: np.ndarray, fps: float | None = None) -> np.ndarray:
        """Refine poses; arguments and result as for `filters.OneEuro`, the frame rate is not used."""
        whole = filled(np.where(valid[..., None], poses, np.nan), valid)
        shape = whole.shape[1:]
        starts = window_starts(max(len(whole), self.window), self.window, self.step)
        total, count = np.zeros_like(whole), np.zeros(len(whole))
        for first in range(0, len(starts), BATCH):
            some = starts[first : first + BATCH]
            given = np.zeros((BATCH, self.window, *shape), np.float32)  # always as many: compiled once
            back = []
            for i, start in enumerate(some):
                frames = slice(start, start + self.window)
                origin, unit = self.coordinates.of(whole[frames])
                part = (whole[frames] - origin) / unit
                given[i] = part[-1]  # of a sequence that is too short the last pose stays, as in training
                given[i, : len(part)] = part
                back.append((frames, origin, unit))
            found = np.asarray(self.apply(given.reshape(BATCH, self.window, -1)), np.float64).reshape(given.shape)
            for refined, (frames, origin, unit) in zip(found, back):
                total[frames] += refined[: len(origin)] * unit + origin
                count[frames] += 1
        return total / count[:, None, None]


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
            f"dimensions ({joints * dimensions}); train one for them, or take a filter"
        )
    dataset = config.get("dataset") if isinstance(config.get("dataset"), Mapping) else {}
    trained = dataset.get("joints", joints), dataset.get("dimensions", dimensions)
    if trained != (joints, dimensions):  # SmoothNet would run: each coordinate alone, of another scale and other roots
        raise InputError(
            f"{path}: its {name} was trained for {trained[0]} joints in {trained[1]} dimensions, these poses have "
            f"{joints} in {dimensions}; train one for them, or take a filter"
        )
    interval = getattr(model, "interval", 1)
    window = getattr(model, "window", None) or dataset.get("window") or 2 * interval + 1
    if not isinstance(window, int) or window < 1 or (window - 1) % interval and name != "smoothnet":
        raise InputError(f"{path}: dataset.window={window!r} is no 1 + a multiple of the interval {interval}")
    coordinates = Coordinates(
        dataset.get("coordinates") or ("person" if dimensions == 2 else "root"),
        tuple(dataset.get("roots") or (0,)),
        tuple(dataset.get("size") or ()) or None,
    )
    try:
        coordinates.check(joints, dimensions)
        if coordinates.kind == "image" and coordinates.size is None:
            raise InputError("size=None: coordinates='image' need the width and height of the pictures")
    except InputError as fault:
        raise InputError(f"{path}: dataset.{fault}") from None
    # Without a word of it as the official code lays windows: every seen frame begins one; SmoothNet's overlap by half.
    step = dataset.get("step") or (max(window // 2, 1) if name == "smoothnet" else interval)
    if not 1 <= step <= window:
        raise InputError(f"{path}: dataset.step={step} is not between 1 and the window's {window} frames")
    return NetworkRefiner(name, compiled(model, variables), window, step, coordinates, interval)

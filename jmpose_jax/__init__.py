"""Video human-pose estimation in JAX: JM-Pose and its family.

`jmpose_jax.load("movenet_thunder")` gives a ready predictor. `jmpose_jax.weights`, `jmpose_jax.metrics` and the other
rooms are imported when they are first asked for.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
_ROOMS = ("errors", "inference", "information", "losses", "metrics", "models", "ops", "records", "skeletons", "train",
          "weights")  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "load":
        return importlib.import_module("jmpose_jax.inference.library").load
    if name in _ROOMS:
        return importlib.import_module(f"jmpose_jax.{name}")
    raise AttributeError(f"module 'jmpose_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, "load"})

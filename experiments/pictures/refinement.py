"""Pictures of refined poses: error and acceleration frame by frame, and the ways of joints before and after."""

import os
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from jmpose_jax.refinement.curves import Curve

COLORS = {"before": "#8c959f", "after": "#1f6feb", "truth": "#1a7f37"}


def draw_curves(panels: Mapping[str, Mapping[str, Curve]], path: str | os.PathLike, fps: float | None = None) -> None:
    """One panel a quantity over the frames, as in the supplement's Figure 2.

    Args:
      panels: name of the quantity -> {"before": curve, "after": curve}.
      path: PNG to write.
      fps: for an axis of seconds beside that of frames; None leaves it out.
    """
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(8, 0.6 + 2.3 * len(panels)), squeeze=False, sharex=True, constrained_layout=True
    )
    for axis, (title, curves) in zip(axes[:, 0], panels.items()):
        for name, (frames, values) in curves.items():
            known = values[np.isfinite(values)]
            mean = f", mean {known.mean():.3g}" if len(known) else ""
            axis.plot(frames, values, color=COLORS[name], linewidth=1.2, label=f"{name}{mean}")
        axis.set_ylabel(title, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False, fontsize=8, ncols=3, loc="upper right")
    axes[-1, 0].set_xlabel("frame")
    if fps:
        axes[0, 0].secondary_xaxis("top", functions=(lambda f: f / fps, lambda s: s * fps)).set_xlabel("seconds")
    _save(figure, path)


def draw_trajectories(
    before: np.ndarray, after: np.ndarray, joints: Sequence[str], path: str | os.PathLike, first: int = 0
) -> None:
    """The coordinates of some joints over the frames, a column a joint and a row a dimension.

    Args:
      before: float [T, J, D], NaN where missing; after: idem.
      joints: J names.
      path: PNG to write.
      first: number of the first frame.
    """
    dimensions = before.shape[2]
    figure, axes = plt.subplots(
        dimensions, len(joints), figsize=(4 * len(joints), 2.2 * dimensions), squeeze=False, sharex=True,
        constrained_layout=True,
    )  # fmt: skip
    frames = first + np.arange(len(before))
    for k, joint in enumerate(joints):
        axes[0, k].set_title(joint, fontsize=10)
        for axis in range(dimensions):
            place = axes[axis, k]
            place.plot(frames, before[:, k, axis], color=COLORS["before"], linewidth=0.9, label="before")
            place.plot(frames, after[:, k, axis], color=COLORS["after"], linewidth=1.3, label="after")
            place.set_ylabel("xyz"[axis] if dimensions < 4 else f"number {axis + 1}")
            place.grid(alpha=0.25)
        axes[-1, k].set_xlabel("frame")
    axes[0, 0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: plt.Figure, path: str | os.PathLike) -> None:
    temporary = f"{os.fspath(path)}.tmp.png"
    figure.savefig(temporary, dpi=120)
    plt.close(figure)
    os.replace(temporary, path)

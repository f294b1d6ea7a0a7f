"""The table of a grid as a picture."""

import itertools
import os
from collections.abc import Mapping

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from experiments.evaluation.measure import Measure
from experiments.grids.verdict import Key, Verdict

PANELS_ACROSS = 4


def colour_range(means: Mapping[Key, float], measure: Measure) -> tuple[float, float]:
    """Least and greatest figure of the colours: a range below the measure's scale would make noise look like sense."""
    if not means:
        return 0.0, 1.0
    low, high = min(means.values()), max(means.values())
    widen = max(measure.scale - (high - low), 0.0) / 2
    return low - widen, high + widen


def heat_map(
    axes: Mapping[str, list[str]],
    verdict: Verdict,
    absent: Mapping[Key, str],
    measure: Measure,
    path: str | os.PathLike,
) -> None:
    """A panel a block, four side by side; grey where there is no result, the best framed where there is one.

    Args:
      axes: of the table, axis -> labels.
      verdict: the means and which is best.
      absent: what a place without a mean says.
      measure: of the means.
      path: PNG to write.
    """
    names = list(axes)
    *blocks, row_axis, column_axis = names if len(names) > 1 else [names[0], ""]
    columns = axes.get(column_axis, [measure.name])
    panels = list(itertools.product(*(axes[b] for b in blocks)))
    low, high = colour_range(verdict.means, measure)
    colours = "viridis" if measure.sign > 0 else "viridis_r"  # the better, the brighter
    across = min(len(panels), PANELS_ACROSS)
    down = -(-len(panels) // across)
    letter = 0.075  # inches, of the labels
    width = 1.0 + letter * max(map(len, axes[row_axis])) + max(0.75, letter * max(map(len, columns))) * len(columns)
    height = max(1.1 + 0.45 * len(axes[row_axis]), 0.5 + letter * len(row_axis))
    size = (max(width * across + 0.9, 0.9 + letter * len(column_axis)), height * down)
    figure, drawn = plt.subplots(down, across, figsize=size, squeeze=False, constrained_layout=True)
    image = None
    for axis in drawn.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, block in zip(drawn.flat, panels):
        keys = [[(*block, r, *((c,) if column_axis else ())) for c in columns] for r in axes[row_axis]]
        table = np.array([[verdict.means.get(k, np.nan) for k in line] for line in keys])
        axis.set_facecolor("#d0d7de")
        image = axis.imshow(table, vmin=low, vmax=high, cmap=colours, aspect="auto")
        for i, j in itertools.product(*map(range, table.shape)):
            dark = measure.sign * (table[i, j] - (low + high) / 2) < 0
            shown = absent[keys[i][j]] if np.isnan(table[i, j]) else measure.shown(table[i, j])
            axis.text(j, i, shown, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            if keys[i][j] == verdict.best:
                axis.add_patch(plt.Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor="red", lw=2))
        axis.set_xticks(range(len(columns)), columns, fontsize=8)
        axis.set_yticks(range(len(axes[row_axis])), axes[row_axis], fontsize=8)
        axis.set_xlabel(column_axis, fontsize=8)
        axis.set_ylabel(row_axis, fontsize=8)
        axis.set_title(", ".join(f"{a} = {v}" for a, v in zip(blocks, block)), fontsize=8)
    if image is not None and verdict.means:
        figure.colorbar(image, ax=drawn.ravel().tolist(), label=f"{measure.name}, {measure.unit}")
    temporary = f"{os.fspath(path)}.tmp.png"
    try:
        figure.savefig(temporary, dpi=110)
    finally:
        plt.close(figure)
    os.replace(temporary, path)

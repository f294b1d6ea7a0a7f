"""Pictures of a run: loss curves and bars of AP."""

import os
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from jmpose_jax.train.writers import read_metrics

INK = "#24292f"


def loss_curves(runs: Mapping[str, str | os.PathLike], path: str | os.PathLike) -> None:
    """The loss terms of some runs over their steps, one panel a run.

    Args:
      runs: title -> workdir with a `metrics.jsonl`.
      path: PNG to write.
    """
    figure, axes = plt.subplots(1, len(runs), figsize=(4.6 * len(runs), 3.4), squeeze=False, constrained_layout=True)
    for axis, (title, workdir) in zip(axes[0], runs.items()):
        lines = read_metrics(workdir)
        steps = [line["step"] for line in lines]
        names = sorted({name for line in lines for name in line if name.startswith("loss/") and name != "loss/total"})
        for name in names:
            label = name.removeprefix("loss/").replace("_", " ")
            axis.plot(steps, _column(lines, name), alpha=0.9, linewidth=1.4, label=label)
        axis.set_yscale("log")
        axis.set_title(title, color=INK, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.25)
        if names:
            axis.legend(frameon=False, fontsize=8)
        if steps:
            rate = axis.twinx()
            rate.plot(steps, _column(lines, "learning_rate"), color="#8c959f", linewidth=0.8, linestyle="--")
            rate.set_yticks([])
            rate.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("mean of the term (dashed: learning rate)")
    _save(figure, path)


def ap_bars(table: Mapping[str, Mapping[str, float | None]], columns: Sequence[str], path: str | os.PathLike) -> None:
    """Grouped bars of AP: one group a column, one bar a row of the table.

    Args:
      table: row name -> {column: AP in percent, or None}.
      columns: which columns to show, in order.
      path: PNG to write.
    """
    figure, axis = plt.subplots(figsize=(1.2 + 1.3 * len(columns), 3.6), constrained_layout=True)
    width = 0.8 / max(len(table), 1)
    colors = plt.get_cmap("tab10")
    for i, (row, values) in enumerate(table.items()):
        heights = np.array([values.get(column) for column in columns], float)
        places = np.arange(len(columns)) + (i - (len(table) - 1) / 2) * width
        axis.bar(places, heights, width * 0.92, label=row, color=colors(i))
    axis.set_xticks(np.arange(len(columns)), columns)
    axis.set_ylabel("AP, %")
    axis.set_ylim(0, 100)
    axis.grid(axis="y", alpha=0.25)
    axis.legend(frameon=False, fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.22))
    _save(figure, path)


def _column(lines: Sequence[Mapping[str, float | None]], name: str) -> np.ndarray:
    """What is null in JSON, or not there, is NaN: a gap in the picture."""
    return np.array([line.get(name) for line in lines], float)


def _save(figure: plt.Figure, path: str | os.PathLike) -> None:
    temporary = f"{os.fspath(path)}.tmp.png"
    figure.savefig(temporary, dpi=120)
    plt.close(figure)
    os.replace(temporary, path)

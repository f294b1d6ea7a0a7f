"""What a grid leaves behind: `grid.csv`, `grid.md` in the layout of ablation tables, `grid.png`, and the best cell."""

import collections
import csv
import io
import itertools
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from experiments.grid_cells import SEED, Cell, Grid
from experiments.grid_run import cell_folder, describe, read_status
from jmpose_jax.files import write_text
from jmpose_jax.metrics.posetrack import JOINT_GROUPS
from jmpose_jax.train.writers import read_metrics

COLUMNS = (*JOINT_GROUPS, "Total")
METRIC = "Total"
PANELS_ACROSS = 4  # of the heat map
Key = tuple[str, ...]


def collect(workdir: pathlib.Path, grid: Grid) -> list[dict[str, Any]]:
    """One row a cell: labels, status, AP by joint group, the last logged losses."""
    rows = []
    for cell in grid.cells:
        status = read_status(workdir, cell)
        lines = read_metrics(cell_folder(workdir, cell))
        last = lines[-1] if lines else {}
        rows.append(
            {"index": cell.index, "id": cell.id, "status": status["status"], **cell.labels}
            | {"step": last.get("step", 0)}
            | {f"ap/{name}": status.get("ap", {}).get(name, math.nan) for name in COLUMNS}
            | {name: value for name, value in last.items() if name.startswith("loss/")}
            | {"message": status.get("message", "")}
        )
    return rows


def write_report(workdir: pathlib.Path, grid: Grid) -> dict[str, Any]:
    """Write the three files of a grid from the cells that have ended.

    Returns:
      {"best": the best cell's labels or None, "value": its AP in percent, "counts": number of cells by status}.
    """
    rows = collect(workdir, grid)
    values = means(grid, rows)
    known = {key: float(np.mean(v)) for key, v in values.items() if v}
    best = max(known, key=known.get) if known else None
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    write_text(workdir / "grid.csv", _csv(rows))
    write_text(workdir / "grid.md", _markdown(grid, rows, values, best, counts))
    heat_map(grid, values, rows, best, workdir / "grid.png")
    axes = axes_without_seed(grid)
    labels = None if best is None else dict(zip(axes, best))
    return {"best": labels, "value": known.get(best, math.nan), "counts": counts}


def axes_without_seed(grid: Grid) -> dict[str, list[str]]:
    """The axes of the tables: cells that differ in their seed alone are averaged."""
    kept = {axis: labels for axis, labels in grid.axes.items() if axis != SEED}
    return kept or dict(grid.axes)


def _key(grid: Grid, cell: Cell) -> Key:
    return tuple(cell.labels[axis] for axis in axes_without_seed(grid))


def means(grid: Grid, rows: list[dict[str, Any]], column: str = METRIC) -> dict[Key, list[float]]:
    """AP of every place in the tables, one value a seed that is done."""
    values: dict[Key, list[float]] = {key: [] for key in itertools.product(*axes_without_seed(grid).values())}
    for cell, row in zip(grid.cells, rows):
        if row["status"] == "done":
            values[_key(grid, cell)].append(row[f"ap/{column}"])
    return values


def without_result(grid: Grid, rows: list[dict[str, Any]], key: Key) -> str:
    """What a place in the tables says where no cell is done."""
    marks = {row["status"] for cell, row in zip(grid.cells, rows) if _key(grid, cell) == key}
    return "NaN" if "nan" in marks else "failed" if "failed" in marks else "–"


def _csv(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(
    grid: Grid,
    rows: list[dict[str, Any]],
    values: Mapping[Key, list[float]],
    best: Key | None,
    counts: Mapping[str, int],
) -> str:
    axes = axes_without_seed(grid)
    runs: dict[Key, int] = collections.Counter(_key(grid, cell) for cell in grid.cells)

    def text(key: Key) -> str:
        found = values[key]
        if not found:
            return without_result(grid, rows, key)
        shown = f"{np.mean(found):.1f}"
        if len(found) > 1:
            shown += f" ({min(found):.1f}–{max(found):.1f})"
        if len(found) < runs[key]:
            shown += f" [{len(found)} of {runs[key]}]"
        return f"**{shown}**" if key == best else shown

    lines = ["# Grid", "", f"mAP in percent. Cells: {', '.join(f'{n} {status}' for status, n in counts.items())}."]
    if SEED in grid.axes and SEED not in axes:
        lines.append(f"Mean over the seeds {', '.join(grid.axes[SEED])} (least and greatest in brackets).")
        if any(0 < len(found) < runs[key] for key, found in values.items()):
            lines.append("[n of m]: so many of the seeds are done; compare with care.")
    if best is not None:
        where = ", ".join(f"{axis} = {label}" for axis, label in zip(axes, best))
        lines.append(f"Best: {where}, with {np.mean(values[best]):.1f}.")
    lines.append("")
    if len(axes) == 1:
        lines += _row_table(grid, rows, values, text)
    else:
        lines += _cross_table(axes, text)
    bad = [(c, r) for c, r in zip(grid.cells, rows) if r["status"] in ("nan", "failed")]
    if bad:
        lines += ["", "Cells without a result:", ""]
        lines += [f"- {describe(cell)}: {row['status']}, {row['message']}" for cell, row in bad]
    return "\n".join(lines) + "\n\n![heat map](grid.png)\n"


def _cross_table(axes: Mapping[str, list[str]], text) -> list[str]:
    """Rows, columns and, for further axes, blocks of them one below the other."""
    *blocks, row_axis, column_axis = axes
    columns = axes[column_axis]
    lines = [f"| mAP: {row_axis} \\ {column_axis} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for block in itertools.product(*(axes[b] for b in blocks)):
        if block:
            title = ", ".join(f"{axis} = {label}" for axis, label in zip(blocks, block))
            lines.append(f"| *{title}* |" + " |" * len(columns))
        lines += [f"| {r} | " + " | ".join(text((*block, r, c)) for c in columns) + " |" for r in axes[row_axis]]
    return lines


def _row_table(grid: Grid, rows: list[dict[str, Any]], values: Mapping[Key, list[float]], text) -> list[str]:
    """One row a value of the only axis: AP by joint group, the decline from the first row, the paper's beside it."""
    ((axis, labels),) = axes_without_seed(grid).items()
    by_column = {column: means(grid, rows, column) for column in JOINT_GROUPS}
    papers = {cell.labels[axis]: math.nan if cell.paper is None else cell.paper for cell in grid.cells}
    with_paper = not all(math.isnan(p) for p in papers.values())
    head = [axis, *JOINT_GROUPS, "Mean", "Declines"] + (["paper", "Declines", "same side"] if with_paper else [])
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    first = labels[0]
    for label in labels:
        groups = [f"{np.mean(v[(label,)]):.1f}" if v[(label,)] else "–" for v in by_column.values()]
        decline = _difference(values[(first,)], values[(label,)])
        shown = [text((label,)), "–" if label == first else _number(decline)]
        if with_paper:
            theirs = papers[first] - papers[label]
            comparable = label != first and not math.isnan(theirs) and not math.isnan(decline)
            agreed = ("yes" if decline * theirs > 0 else "no") if comparable else "–"
            shown += [_number(papers[label]), "–" if label == first else _number(theirs), agreed]
        lines.append("| " + " | ".join([label, *groups, *shown]) + " |")
    return lines


def _difference(first: list[float], other: list[float]) -> float:
    return float(np.mean(first) - np.mean(other)) if first and other else math.nan


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"


def heat_map(
    grid: Grid,
    values: Mapping[Key, list[float]],
    rows: list[dict[str, Any]],
    best: Key | None,
    path: str | os.PathLike,
) -> None:
    """The table as a picture: a panel a block, four side by side; grey where there is no result, the best framed."""
    axes = axes_without_seed(grid)
    names = list(axes)
    *blocks, row_axis, column_axis = names if len(names) > 1 else [names[0], ""]
    columns = axes.get(column_axis, ["mAP"])
    panels = list(itertools.product(*(axes[b] for b in blocks)))
    finite = [float(np.mean(v)) for v in values.values() if v]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
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
        table = np.array([[np.mean(values[k]) if values[k] else np.nan for k in line] for line in keys])
        axis.set_facecolor("#d0d7de")
        image = axis.imshow(table, vmin=low, vmax=max(high, low + 1e-6), cmap="viridis", aspect="auto")
        for i, j in itertools.product(*map(range, table.shape)):
            dark = table[i, j] < (low + high) / 2
            shown = without_result(grid, rows, keys[i][j]) if np.isnan(table[i, j]) else f"{table[i, j]:.1f}"
            axis.text(j, i, shown, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            if keys[i][j] == best:
                axis.add_patch(plt.Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor="red", lw=2))
        axis.set_xticks(range(len(columns)), columns, fontsize=8)
        axis.set_yticks(range(len(axes[row_axis])), axes[row_axis], fontsize=8)
        axis.set_xlabel(column_axis, fontsize=8)
        axis.set_ylabel(row_axis, fontsize=8)
        axis.set_title(", ".join(f"{a} = {v}" for a, v in zip(blocks, block)), fontsize=8)
    if image is not None and finite:
        figure.colorbar(image, ax=drawn.ravel().tolist(), label="mAP, %")
    temporary = f"{os.fspath(path)}.tmp.png"
    figure.savefig(temporary, dpi=110)
    plt.close(figure)
    os.replace(temporary, path)

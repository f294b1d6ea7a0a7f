"""What a grid leaves: `grid.csv`, `grid.md` in the layout of ablation tables, its page, picture and best cell."""

import collections
import csv
import io
import itertools
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.evaluation.measure import Measure
from experiments.grids.cells import SEED, Cell, Grid
from experiments.grids.claims import beside_paper
from experiments.grids.engines import cell_folder, describe, read_status
from experiments.grids.measure import measure_of
from experiments.grids.picture import heat_map
from experiments.grids.verdict import Key, Verdict, in_words, judge
from jmpose_jax.files import write_text
from jmpose_jax.metrics.posetrack import JOINT_GROUPS
from jmpose_jax.pages import markdown_page
from jmpose_jax.train.writers import read_metrics

COLUMNS = (*JOINT_GROUPS, "Total")  # of AP


def collect(workdir: pathlib.Path, grid: Grid) -> list[dict[str, Any]]:
    """One row a cell: labels, status, figures of the grid's measure, the last logged losses."""
    measure = measure_of(grid)
    statuses = [read_status(workdir, cell) for cell in grid.cells]
    names = dict.fromkeys((*measure.columns, measure.total))
    names |= dict.fromkeys(name for status in statuses for name in status.get(measure.field, {}))
    rows = []
    for cell, status in zip(grid.cells, statuses):
        lines = read_metrics(cell_folder(workdir, cell))
        last = lines[-1] if lines else {}
        found = status.get(measure.field, {})
        rows.append(
            {"index": cell.index, "id": cell.id, "status": status["status"], **cell.labels}
            | {"step": last.get("step", 0)}
            | {f"{measure.field}/{name}": _figure(found.get(name)) for name in names}
            | {name: value for name, value in last.items() if name.startswith("loss/")}
            | {"message": status.get("message", "")}
        )
    return rows


def _figure(value: float | None) -> float:
    return math.nan if value is None else float(value)


def write_report(workdir: pathlib.Path, grid: Grid) -> dict[str, Any]:
    """Write the files of a grid from the cells that have ended.

    Returns:
      {"best": labels of the best place in the table, None where noise parts it from no other or there is none, "value":
      the best mean, "words": the verdict in one line, "counts": number of cells by status}.
    """
    measure, rows, axes = measure_of(grid), collect(workdir, grid), axes_without_seed(grid)
    values = figures(grid, rows, f"{measure.field}/{measure.total}")
    verdict = judge(values, measure)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    write_text(workdir / "grid.csv", _csv(rows))
    text = _markdown(grid, rows, values, verdict, counts, measure)
    write_text(workdir / "grid.md", text)
    absent = {key: without_result(grid, rows, key) for key in values}
    heat_map(axes, verdict, absent, measure, workdir / "grid.png")
    write_text(workdir / "grid.html", markdown_page(text, workdir))
    return {
        "best": None if verdict.best is None else dict(zip(axes, verdict.best)),
        "value": verdict.means[verdict.leaders[0]] if verdict.leaders else math.nan,
        "words": in_words(verdict, axes, measure),
        "counts": counts,
    }


def axes_without_seed(grid: Grid) -> dict[str, list[str]]:
    """The axes of the tables: cells that differ in their seed alone are averaged."""
    kept = {axis: labels for axis, labels in grid.axes.items() if axis != SEED}
    return kept or dict(grid.axes)


def _key(grid: Grid, cell: Cell) -> Key:
    return tuple(cell.labels[axis] for axis in axes_without_seed(grid))


def figures(grid: Grid, rows: list[dict[str, Any]], column: str) -> dict[Key, dict[str, float]]:
    """A column of every place in the tables by seed, of the cells that are done and have it."""
    axes = axes_without_seed(grid)
    values: dict[Key, dict[str, float]] = {key: {} for key in itertools.product(*axes.values())}
    for cell, row in zip(grid.cells, rows):
        if row["status"] == "done" and not math.isnan(row[column]):
            values[_key(grid, cell)]["" if SEED in axes else cell.labels.get(SEED, "")] = row[column]
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
    values: Mapping[Key, Mapping[str, float]],
    verdict: Verdict,
    counts: Mapping[str, int],
    measure: Measure,
) -> str:
    axes = axes_without_seed(grid)
    runs: dict[Key, int] = collections.Counter(_key(grid, cell) for cell in grid.cells)

    def text(key: Key) -> str:
        found = list(values[key].values())
        if not found:
            return without_result(grid, rows, key)
        shown = measure.shown(verdict.means[key])
        if len(found) > 1:
            shown += f" ({measure.shown(min(found))}–{measure.shown(max(found))})"
        if len(found) < runs[key]:
            shown += f" [{len(found)} of {runs[key]}]"
        return f"**{shown}**" if key == verdict.best else shown

    measured = f"{measure.name} in percent" if measure.unit == "%" else f"{measure.name} in {measure.unit}"
    cells = ", ".join(f"{n} {status}" for status, n in counts.items())
    lines = ["# Grid", "", f"{measured}{'' if measure.sign > 0 else '; less is better'}. Cells: {cells}."]
    if SEED in grid.axes and SEED not in axes:
        lines.append(f"Mean over the seeds {', '.join(grid.axes[SEED])} (least and greatest in brackets).")
        if any(0 < len(found) < runs[key] for key, found in values.items()):
            lines.append("[n of m]: so many of the seeds are done; compare with care.")
    words = in_words(verdict, axes, measure)
    lines += ["", f"{words[0].upper()}{words[1:]}.", ""]
    if len(axes) == 1:
        lines += _row_table(grid, rows, verdict, measure, text)
    else:
        papers = {_key(grid, cell): cell.paper for cell in grid.cells if cell.paper is not None}
        lines += _cross_table(axes, measure, text, papers)
        lines += beside_paper(grid.claims, axes, verdict, papers, measure)
    bad = [(c, r) for c, r in zip(grid.cells, rows) if r["status"] in ("nan", "failed")]
    if bad:
        lines += ["", "Cells without a result:", ""]
        lines += [f"- {describe(cell)}: {row['status']}, {row['message']}" for cell, row in bad]
    return "\n".join(lines) + "\n\n![heat map](grid.png)\n"


def _cross_table(
    axes: Mapping[str, list[str]], measure: Measure, text: Callable[[Key], str], papers: Mapping[Key, float]
) -> list[str]:
    """Rows, columns and, for further axes, blocks of them one below the other; the paper's figures to the right."""
    *blocks, row_axis, column_axis = axes
    columns = axes[column_axis]
    head = [f"{measure.name}: {row_axis} \\ {column_axis}", *columns]
    head += [f"paper: {c}" for c in columns] if papers else []
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for block in itertools.product(*(axes[b] for b in blocks)):
        if block:
            title = ", ".join(f"{axis} = {label}" for axis, label in zip(blocks, block))
            lines.append(f"| *{title}* |" + " |" * (len(head) - 1))
        for r in axes[row_axis]:
            keys = [(*block, r, c) for c in columns]
            theirs = [measure.shown(papers.get(key, math.nan)) for key in keys] if papers else []
            lines.append(f"| {r} | " + " | ".join([*map(text, keys), *theirs]) + " |")
    return lines


def _row_table(
    grid: Grid, rows: list[dict[str, Any]], verdict: Verdict, measure: Measure, text: Callable[[Key], str]
) -> list[str]:
    """One row a value of the only axis: the figures, the decline from the first row, the paper's beside it."""
    ((axis, labels),) = axes_without_seed(grid).items()
    by_column = [figures(grid, rows, f"{measure.field}/{column}") for column in measure.columns]
    papers = {cell.labels[axis]: math.nan if cell.paper is None else cell.paper for cell in grid.cells}
    with_paper = not all(math.isnan(p) for p in papers.values())
    head = [axis, *measure.columns, "Mean", "Declines"] + (["paper", "Declines", "same side"] if with_paper else [])
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    first = labels[0]
    for label in labels:
        groups = [measure.shown(_mean(found[(label,)])) for found in by_column]
        mine = [verdict.means.get((name,), math.nan) for name in (first, label)]
        decline = measure.sign * (mine[0] - mine[1])
        shown = [text((label,)), "–" if label == first else measure.shown(decline)]
        if with_paper:
            theirs = measure.sign * (papers[first] - papers[label])
            agreed = "–" if label == first else _side(decline, theirs, verdict)
            shown += [measure.shown(papers[label]), "–" if label == first else measure.shown(theirs), agreed]
        lines.append("| " + " | ".join([label, *groups, *shown]) + " |")
    return lines


def _side(decline: float, theirs: float, verdict: Verdict) -> str:
    """Whether a decline is on the paper's side; one within noise is on none."""
    if math.isnan(decline) or math.isnan(theirs):
        return "–"
    if verdict.alike(decline):
        return "no difference"
    return "yes" if decline * theirs > 0 else "no"


def _mean(found: Mapping[str, float]) -> float:
    return float(np.mean(list(found.values()))) if found else math.nan

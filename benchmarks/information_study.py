"""Does the information objective help, with which estimators and which alpha? Stage 2 of JM-Pose, three seeds a cell.

  python -m benchmarks.information_study --quickstarts runs/quickstart0 runs/quickstart1 runs/quickstart2 \
    --workdir runs/information --output benchmarks/results/information_study.json

A grid over sets of estimators, alpha (in units in which 1 starts near the heatmap loss) and seeds, each with the data
and backbone of its own quickstart; cells that differ in alpha alone are trained as one program. At alpha 0 nothing
depends on the estimators: the first set's cell stands for all. It goes on where it was stopped; WORKDIR/grid.md has
the table.
"""

import argparse
import dataclasses
import pathlib
from typing import Any

from benchmarks.measure import machine, publish
from benchmarks.worlds import paired, shown, world
from configs import gamma_grid
from experiments import grid
from experiments.grids import report as grid_report
from experiments.grids.cells import Grid

SETS = {
    "vsd": ("vml_js", "vsd", "vsd"),
    "club": ("club", "infonce", "club"),
    "vml": ("vml_js", "vml_js", "vml_js"),
    "l1out": ("l1out", "nwj", "l1out"),
    "public": ("vsd_public", "vsd_public", "vsd_public"),
}
TERMS = ("relevancy", "complement", "redundancy")


def bundle(name: str) -> dict[str, Any]:
    """A set of estimators as a value of a grid's axis."""
    return {"name": name, **{f"model.predictors.estimators.{term}": e for term, e in zip(TERMS, SETS[name])}}


def rows_of(planned: Grid, workdir: pathlib.Path) -> list[dict[str, Any]]:
    """One row a set of estimators and alpha: AP by seed, and the gain over alpha 0 of the same seed."""
    found = {}
    for cell, row in zip(planned.cells, grid_report.collect(workdir, planned)):
        if row["status"] == "done":
            found[cell.labels["estimators"], cell.labels["loss.alpha"], cell.labels["seed"]] = row["ap/Total"]
    without = {seed: ap for (_, alpha, seed), ap in found.items() if float(alpha) == 0}
    rows = []
    for name, alpha in dict.fromkeys(key[:2] for key in found):
        ap = {seed: value for (n, a, seed), value in found.items() if (n, a) == (name, alpha)}
        gains, mean = paired(ap, without)
        rows.append({"estimators": name, "alpha": float(alpha), "ap": ap, "gain": gains, "mean_gain": mean})
    return rows


def table(result: dict[str, Any]) -> str:
    """Markdown: AP and gain over alpha 0, a column a seed."""
    seeds = list(dict.fromkeys(seed for row in result["rows"] for seed in row["ap"]))
    head = ["estimators", "α", *(f"seed {seed}" for seed in seeds), "mean gain over α = 0"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in result["rows"]:
        by_seed = shown(row["ap"], row["gain"] if row["alpha"] else {}, seeds)
        mean = "–" if not row["alpha"] or row["mean_gain"] is None else f"{row['mean_gain']:+.2f}"
        name = row["estimators"] if row["alpha"] else "none"
        lines.append("| " + " | ".join([name, f"{row['alpha']:g}", *by_seed, mean]) + " |")
    lines += ["", f"mAP on the {result['split']} split after {result['steps']} steps."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstarts", nargs="+", required=True, type=pathlib.Path, help="workdirs, one a seed")
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    parser.add_argument("--estimators", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--alphas", nargs="*", type=float, default=[0.0, 0.1, 1.0, 5.0])
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--split", default="val", help="split to score on; the test split is for final figures alone")
    parser.add_argument("--engine", default="local", choices=grid.ENGINES)
    parser.add_argument("--separate", action="store_true", help="train every cell on its own")
    parser.add_argument("--report_only", action="store_true", help="train nothing, write what there is")
    parser.add_argument("--memory_gib", type=float, default=0.0, help="bound of a vectorised program")
    arguments = parser.parse_args()

    config = gamma_grid.get_config()
    config.dataset.eval_split = arguments.split
    config.train.steps = arguments.steps
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, arguments.steps // 4)
    axes = {
        "estimators": [bundle(name) for name in arguments.estimators],
        "seed": [world(folder) for folder in arguments.quickstarts],
        "loss.alpha": arguments.alphas,
    }
    planned = grid.plan(config, axes, arguments.workdir)
    # Without the objective nothing depends on its estimators: those cells of the further sets are not run.
    first = arguments.estimators[0]
    cells = [c for c in planned.cells if c.labels["estimators"] == first or float(c.labels["loss.alpha"]) != 0]
    chosen = dataclasses.replace(planned, cells=cells)
    if arguments.report_only:
        grid_report.write_report(arguments.workdir, chosen)
    else:
        vectorize = not arguments.separate
        options = dict(engine=arguments.engine, vectorize=vectorize, memory_gib=arguments.memory_gib)
        grid.run_grid(chosen, arguments.workdir, **options)
    result = {
        "split": arguments.split,
        "steps": arguments.steps,
        "sets": {name: SETS[name] for name in arguments.estimators},
        "rows": rows_of(chosen, arguments.workdir),
        "machine": machine("flax", "optax"),
    }
    publish("information_study", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

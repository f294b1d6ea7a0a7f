"""Tables 5 and 6 of the paper on the embedded data set: does each row fall on the paper's side of the full model?

  python -m benchmarks.ablation --quickstarts runs/quickstart0 runs/quickstart1 runs/quickstart2 \
    --workdir runs/ablation --output benchmarks/results/ablation.json --page docs/results.md

The grid of configs/jmpose_ablation.py, where a seed brings its own data and its own backbone: those of a finished
quickstart. A row is compared with the full model of the same seed. It goes on where it was stopped.
"""

import argparse
import pathlib
from typing import Any

from benchmarks.measure import machine, publish
from benchmarks.worlds import paired, shown, world
from configs import jmpose_ablation
from experiments import grid
from experiments.grids import report as grid_report
from experiments.grids.cells import Grid


def rows_of(planned: Grid, workdir: pathlib.Path) -> list[dict[str, Any]]:
    """One row a method: the paper's mAP, AP by seed, and its difference from the full model of the same seed."""
    found: dict[str, dict[str, float]] = {name: {} for name in planned.axes["method"]}
    papers = {cell.labels["method"]: cell.paper for cell in planned.cells}
    for cell, row in zip(planned.cells, grid_report.collect(workdir, planned)):
        if row["status"] == "done":
            found[cell.labels["method"]][cell.labels["seed"]] = row["ap/Total"]
    full = planned.axes["method"][0]
    rows = []
    for name, ap in found.items():
        change, mean = paired(ap, found[full])
        theirs = papers[name] - papers[full]
        rows.append({"method": name, "ap": ap, "change": change, "mean_change": mean, "paper_change": theirs})
    return rows


def side(row: dict[str, Any]) -> str:
    """Whether a row falls on the paper's side of the full model, in the mean and in how many seeds."""
    theirs, changes = row["paper_change"], list(row["change"].values())
    if theirs == 0 or not changes:
        return "–"
    same = sum(change * theirs > 0 for change in changes)
    return f"{'yes' if row['mean_change'] * theirs > 0 else 'no'} ({same} of {len(changes)} seeds)"


def table(result: dict[str, Any]) -> str:
    """Markdown: AP and change from the full model, a column a seed, beside the paper's change."""
    seeds = list(dict.fromkeys(seed for row in result["rows"] for seed in row["ap"]))
    head = ["row", *(f"seed {seed}" for seed in seeds), "mean change", "paper's change", "paper's side"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for place, row in enumerate(result["rows"]):
        known = place and row["mean_change"] is not None
        mean = f"{row['mean_change']:+.2f}" if known else "–"
        theirs = f"{row['paper_change']:+.1f}" if place else "–"
        by_seed = shown(row["ap"], row["change"] if place else {}, seeds)
        lines.append("| " + " | ".join([row["method"], *by_seed, mean, theirs, side(row)]) + " |")
    lines += ["", f"mAP on the {result['split']} split after {result['steps']} steps; the paper's on PoseTrack2017."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstarts", nargs="+", required=True, type=pathlib.Path, help="workdirs, one a seed")
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    parser.add_argument("--variant", default="tiny", choices=("tiny", "tiny_paper"), help="of the config file")
    parser.add_argument("--steps", type=int, help="of each run; by default those of the config")
    parser.add_argument("--split", default="test", help="split to score on")
    parser.add_argument("--engine", default="local", choices=grid.ENGINES)
    parser.add_argument("--report_only", action="store_true", help="train nothing, write what there is")
    arguments = parser.parse_args()

    config = jmpose_ablation.get_config(arguments.variant)
    config.dataset.eval_split = arguments.split
    if arguments.steps:
        config.train.steps = arguments.steps
        config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, arguments.steps // 4)
    worlds = [world(folder) for folder in arguments.quickstarts]
    planned = grid.plan(config, {"seed": worlds, "method": jmpose_ablation.ROWS}, arguments.workdir)
    if arguments.report_only:
        grid_report.write_report(arguments.workdir, planned)
    else:
        grid.run_grid(planned, arguments.workdir, engine=arguments.engine)
    result = {
        "variant": arguments.variant,
        "split": arguments.split,
        "steps": config.train.steps,
        "rows": rows_of(planned, arguments.workdir),
        "machine": machine("flax", "optax"),
    }
    publish("ablation", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

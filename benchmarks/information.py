"""Estimates of mutual information against the truth: Gaussian pairs in 1, 8 and 64 dimensions, as JSON and a picture.

  python -m benchmarks.information --output benchmarks/results/information.json --picture docs/information.png \
    --page docs/benchmarks.md
"""

import argparse
import os
import pathlib
import time
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.measure import machine, write_between_markers
from jmpose_jax.files import write_json
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.fitting import estimate, fit_critic, gaussian_information, gaussian_pairs

DIMENSIONS = (1, 8, 64)
COLORS = {"upper": ("#8250df", "#bf3989", "#cf222e"), "lower": ("#0969da", "#1a7f37", "#9a6700")}


def measure(truths: list[float], steps: int, samples: int, evaluated: int) -> list[dict]:
    """Every sample estimator in every dimension at every amount of information, nats."""
    rows = []
    for dimensions in DIMENSIONS:
        for truth in truths:
            correlation = float(np.sqrt(-np.expm1(-2 * truth / dimensions)))
            fitted_on = gaussian_pairs(samples, dimensions, correlation)
            judged_on = gaussian_pairs(evaluated, dimensions, correlation, seed=1)
            truth_again = gaussian_information(dimensions, correlation)
            conditional = None  # the estimators that read q(y|x) fit it in the same way: once for all of them
            for name, kind in ESTIMATORS.items():
                if not kind.critic:
                    continue
                # A hidden layer narrower than y cannot carry the conditional mean; pair scores cost batch² x hidden.
                gaussian = kind.critic == "gaussian"
                wide = gaussian or name == "mine"
                sizes = dict(hidden=256, batch_size=256) if wide else dict(hidden=64, batch_size=64)
                critic = conditional if gaussian else None
                if critic is None:
                    critic = fit_critic(name, *fitted_on, steps=steps, **sizes)
                conditional = critic if gaussian else conditional
                found = float(estimate(name, *judged_on, critic).bound)
                rows.append(
                    {"estimator": name, "bound": kind.bound, "dimensions": dimensions}
                    | {"correlation": correlation, "truth": truth_again, "estimate": found}
                )
                print(f"{name:8} d {dimensions:2}  truth {truth_again:.2f}  {kind.bound:5} {found:.2f}", flush=True)
    return rows


def picture(rows: list[dict], path: pathlib.Path) -> None:
    """One panel a dimension: estimate over truth, with the diagonal."""
    figure, axes = plt.subplots(1, len(DIMENSIONS), figsize=(10, 3.5), constrained_layout=True)
    names = list(dict.fromkeys(row["estimator"] for row in rows))
    color = {}
    for bound, colors in COLORS.items():
        color |= dict(zip([n for n in names if ESTIMATORS[n].bound == bound], colors))
    for axis, dimensions in zip(axes, DIMENSIONS):
        top = max(row["truth"] for row in rows)
        axis.plot([0, top], [0, top], color="#24292f", linewidth=1, label="truth")
        for name in names:
            points = [
                (r["truth"], r["estimate"]) for r in rows if (r["estimator"], r["dimensions"]) == (name, dimensions)
            ]
            style = "^-" if ESTIMATORS[name].bound == "upper" else "v--"
            axis.plot(
                *zip(*points),
                style,
                color=color[name],
                markersize=4,
                linewidth=1.2,
                label=f"{name} ({ESTIMATORS[name].bound})",
            )
        axis.set_title(f"{dimensions} dimension{'s' if dimensions > 1 else ''}", fontsize=10)
        axis.set_xlabel("true information, nats")
        axis.set_ylim(-0.6, 2.8 * top)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("estimate, nats")
    axes[0].legend(frameon=False, fontsize=8)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=80)
    plt.close(figure)
    os.replace(temporary, path)


def table(result: dict[str, Any]) -> str:
    """Markdown: a row an estimator and dimension, a column an amount of information."""
    rows = result["rows"]
    truths = sorted({round(row["truth"], 6) for row in rows})
    head = ["estimator", "bound", "dimensions", *(f"I = {truth:g}" for truth in truths)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, bound in dict.fromkeys((row["estimator"], row["bound"]) for row in rows):
        for dimensions in DIMENSIONS:
            of = {
                round(r["truth"], 6): r["estimate"]
                for r in rows
                if (r["estimator"], r["dimensions"]) == (name, dimensions)
            }
            lines.append(f"| {name} | {bound} | {dimensions} | " + " | ".join(f"{of[t]:.2f}" for t in truths) + " |")
    lines += ["", f"Nats; {result['steps']} steps a fit, {result['cpu_seconds']:.0f} CPU seconds in all."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--picture", required=True, type=pathlib.Path, help="PNG file to write")
    parser.add_argument("--truths", nargs="*", type=float, default=[0.25, 0.5, 1.0, 2.0], help="nats")
    parser.add_argument("--steps", type=int, default=800, help="of each fit")
    parser.add_argument("--samples", type=int, default=20000, help="to fit on")
    parser.add_argument("--evaluated", type=int, default=1000, help="samples to judge on")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    start = time.process_time()
    rows = measure(arguments.truths, arguments.steps, arguments.samples, arguments.evaluated)
    picture(rows, arguments.picture)
    result = {
        "rows": rows,
        "steps": arguments.steps,
        "samples": arguments.samples,
        "evaluated": arguments.evaluated,
        "cpu_seconds": round(time.process_time() - start, 1),
        "machine": machine("optax"),
    }
    write_json(arguments.output, result)
    if arguments.page:
        write_between_markers("information", table(result), arguments.page)


if __name__ == "__main__":
    main()

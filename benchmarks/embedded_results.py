r"""The table of results on the embedded data set, from the `evaluation.json` of one or more quickstarts.

python -m benchmarks.embedded_results runs/seed0 runs/seed1 runs/seed2 --output benchmarks/results/embedded.json \
  --page README.md
"""

import argparse
import json
import pathlib

import numpy as np

from benchmarks.measure import machine, write_between_markers
from experiments.evaluation.comparison import ROWS, SUBSETS
from jmpose_jax.files import write_json


def collect(workdirs: list[pathlib.Path]) -> dict:
    """Mean AP of every row by subset, for each seed."""
    runs = [json.loads((w / "evaluation.json").read_text()) for w in workdirs]
    seconds = [json.loads((w / "timing.json").read_text()) for w in workdirs]
    return {
        "seeds": [run["seed"] for run in runs],
        "clips": [run["clips"] for run in runs],
        "steps": [run["steps"] for run in runs],
        "seconds": seconds,
        "subsets": [run["subsets"] for run in runs],
        **machine("flax", "optax"),
    }


def table(result: dict) -> str:
    """Markdown: mean over the seeds, and the range of the total where there are several."""
    lines = ["| row | " + " | ".join(SUBSETS) + " |", "|---" * (len(SUBSETS) + 1) + "|"]
    for row in ROWS:
        values = {part: [run[row][part] for run in result["subsets"] if run[row][part] is not None] for part in SUBSETS}
        cells = [f"{np.mean(v):.1f}" if v else "–" for v in values.values()]
        if len(result["seeds"]) > 1:
            cells[0] += f" ({min(values['all']):.1f}–{max(values['all']):.1f})"
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="+", type=pathlib.Path, help="finished workdirs of `jmpose quickstart`")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    result = collect(arguments.workdirs)
    if arguments.output:
        write_json(arguments.output, result)
    if arguments.page:
        write_between_markers("embedded", table(result), arguments.page)
    print(table(result))


if __name__ == "__main__":
    main()

"""Does the information objective help, with which estimators and which alpha? Stage 2 of JM-Pose, three seeds a cell.

  python -m benchmarks.information_study --data runs/quickstart/data/prepared --backbone runs/quickstart/backbone \
    --workdir runs/information --output benchmarks/results/information_study.json

A grid over sets of estimators, alpha (in units in which 1 starts near the heatmap loss) and seeds; cells that differ in
alpha alone are trained as one program. It goes on where it was stopped. The table is in WORKDIR/grid.md.
"""

import argparse
import importlib.metadata
import os
import pathlib
import platform

import numpy as np

from configs import gamma_grid
from experiments import grid, grid_report
from experiments.files import write_json

SETS = {
    "vsd": ("vml_js", "vsd", "vsd"),
    "vml": ("vml_js", "vml_js", "vml_js"),
    "club": ("club", "infonce", "club"),
    "l1out": ("l1out", "nwj", "l1out"),
    "public": ("vsd_public", "vsd_public", "vsd_public"),
}
TERMS = ("relevancy", "complement", "redundancy")


def bundle(name: str) -> dict[str, str]:
    """A set of estimators as a value of a grid's axis."""
    return {"name": name, **{f"loss.estimators.{term}": e for term, e in zip(TERMS, SETS[name])}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="prepared embedded data set")
    parser.add_argument("--backbone", required=True, help="workdir of the trained backbone")
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--estimators", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--alphas", nargs="*", type=float, default=[0.0, 0.1, 0.3, 1.0, 3.0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--split", default="val", help="split to score on; the test split is for final figures alone")
    parser.add_argument("--engine", default="local", choices=grid.ENGINES)
    parser.add_argument("--separate", action="store_true", help="train every cell on its own")
    parser.add_argument("--memory_gib", type=float, default=0.0, help="bound of a vectorised program")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER", help="further changes of the config")
    arguments = parser.parse_args()

    config = gamma_grid.get_config()
    config.dataset.root = os.path.abspath(arguments.data)
    config.init.backbone = os.path.abspath(arguments.backbone)
    config.dataset.eval_split = arguments.split
    config.train.steps = arguments.steps
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, arguments.steps // 4)
    for pair in arguments.set:
        key, value = pair.split("=")
        config.update_from_flattened_dict({key: float(value) if "." in value else int(value)})
    axes = {
        "estimators": [bundle(name) for name in arguments.estimators],
        "loss.alpha": arguments.alphas,
        "seed": arguments.seeds,
    }
    planned = grid.plan(config, axes, arguments.workdir)
    report = grid.run_grid(
        planned,
        arguments.workdir,
        engine=arguments.engine,
        vectorize=not arguments.separate,
        memory_gib=arguments.memory_gib,
    )
    print((arguments.workdir / "grid.md").read_text())
    if arguments.output:
        values = grid_report.means(planned, grid_report.collect(arguments.workdir, planned))
        rows = [
            {
                "estimators": key[0],
                "alpha": float(key[1]),
                "ap": found,
                "mean": float(np.mean(found)) if found else None,
            }
            for key, found in values.items()
        ]
        write_json(
            arguments.output,
            {
                "split": arguments.split,
                "steps": arguments.steps,
                "seeds": arguments.seeds,
                "sets": {name: SETS[name] for name in arguments.estimators},
                "rows": rows,
                "best": report["best"],
                "counts": report["counts"],
                "machine": {"cores": os.cpu_count(), "processor": platform.machine()},
                "versions": {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax")},
            },
        )


if __name__ == "__main__":
    main()

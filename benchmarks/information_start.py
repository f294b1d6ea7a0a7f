"""Where the information objective starts: L_IO at alpha 1 over L_H at step 0 of stage 2, for every estimator.

  python -m benchmarks.information_start --data runs/quickstart/data/prepared --backbone runs/quickstart/backbone \
    --output benchmarks/results/information_start.json --page docs/benchmarks.md

The model runs once; each estimator then gets fresh predictors and critics on the same features.
"""

import argparse
import os
import pathlib
from typing import Any

import jax
import numpy as np

from benchmarks.measure import machine, write_between_markers
from configs import gamma_grid
from experiments.run import clips
from experiments.run.building import initialised
from experiments.systems import objective_of
from jmpose_jax.files import write_json
from jmpose_jax.information import ESTIMATORS, INFORMATION_TERMS, InformationPredictors
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch, JMPoseOutput
from jmpose_jax.train.optimizers import Optimizer
from jmpose_jax.train.state import create_state


def terms_at_start(config, output: JMPoseOutput, batch: ClipBatch, name: str) -> dict[str, float]:
    """The weighted loss terms at alpha 1 with one estimator in all information terms, its networks fresh.

    Args:
      config: of stage 2.
      output: of the untrained JM-Pose.
      batch: what it was computed from.
      name: of the estimator.

    Returns:
      Term -> its share of the total loss.
    """
    chosen = dict.fromkeys(INFORMATION_TERMS, name)
    made_by = {key: config.model.predictors[key] for key in ("kernel_init", "features")}
    module = InformationPredictors(output.heatmaps.shape[-1], chosen, **made_by)
    objective = objective_of(config)

    @jax.jit
    def compute(output: JMPoseOutput, batch: ClipBatch) -> dict[str, tuple[jax.Array, jax.Array]]:
        made = [
            module.init_with_output(jax.random.key(i, impl="rbg"), *layer)[0] for i, layer in enumerate(output.layers)
        ]
        return objective(output.replace(predictions=tuple(made)), batch)

    weights = objective.term_weights()
    return {term: float(weights[term] * total / count) for term, (total, count) in compute(output, batch).items()}


def measure(config, batches: int, names: list[str]) -> dict[str, Any]:
    """Means over some batches of the training split."""
    loader = clips.train(config)
    try:
        examples = [next(loader) for _ in range(batches)]
    finally:
        loader.close()
    model = create_model(config.model)
    # No step is made; the optimiser is there because a state has one.
    optimizer = Optimizer("adamw", frozen=config.optimizer.frozen).create(lambda step: 0.0)
    state = initialised(create_state(model, optimizer, jax.random.key(config.seed, impl="rbg"), examples[0]), config)
    forward = jax.jit(lambda variables, batch: model.apply(variables, batch, train=True, mutable=["batch_stats"])[0])
    outputs = [forward(state.variables, batch) for batch in examples]
    rows = []
    for name in names:
        found = [terms_at_start(config, output, batch, name) for output, batch in zip(outputs, examples)]
        mean = {term: float(np.mean([f[term] for f in found])) for term in found[0]}
        objective = sum(mean[term] for term in INFORMATION_TERMS)
        rows.append({"estimator": name, "terms": mean, "over_heatmap_loss": objective / mean["heatmap"]})
    return {"normalization": config.loss.normalization, "batches": batches, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Markdown: each term over L_H."""
    names = [*INFORMATION_TERMS, "predictor_fit"]
    lines = ["| estimator | L_IO / L_H | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for row in result["rows"]:
        shares = (row["terms"][name] / row["terms"]["heatmap"] for name in names)
        shown = " | ".join(f"{share:.2f}" for share in shares)
        lines.append(f"| {row['estimator']} | {row['over_heatmap_loss']:.2f} | {shown} |")
    heatmap = result["rows"][0]["terms"]["heatmap"]
    lines += ["", f"α = 1, units {result['normalization']!r}, {result['batches']} batches; weighted L_H {heatmap:.3f}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="prepared embedded data set")
    parser.add_argument("--backbone", required=True, help="workdir of the trained backbone")
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--normalization", default="heatmap_loss", help="or pixels")
    choices = list(ESTIMATORS)
    parser.add_argument("--estimators", nargs="*", default=choices, choices=choices)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    config = gamma_grid.get_config()
    config.dataset.root = os.path.abspath(arguments.data)
    config.init.backbone = os.path.abspath(arguments.backbone)
    config.loss.normalization, config.loss.alpha = arguments.normalization, 1.0
    result = measure(config, arguments.batches, arguments.estimators)
    print(table(result))
    if arguments.output:
        write_json(arguments.output, result | {"machine": machine("flax")})
    if arguments.page:
        write_between_markers("information_start", table(result), arguments.page)


if __name__ == "__main__":
    main()

"""Does flow help? JM-Pose with no, OpenCV's and exact flow on one backbone, and with and without its information terms.

Renders the embedded data set of a quickstart once more with its exact flow, trains stage 2 in every variant on the
quickstart's backbone, and scores the variants on the chosen split.

  python -m benchmarks.flow_study --quickstart runs/quickstart --output benchmarks/results/flow_study.json
"""

import argparse
import json
import pathlib

from benchmarks.measure import machine
from configs import jmpose
from data_pipeline.preparation.prepare import prepare
from data_pipeline.synthetic.dataset import generate
from experiments.evaluation.comparison import compare, score
from experiments.quickstart import SCALES, videos_of
from experiments.train import train
from jmpose_jax.files import write_json

VARIANTS = {
    "no flow": {
        "dataset.flow_source": "none",
        "model.motion_encoder.kind": "zero_flow",
        "model.heatmap_aggregation.alignment": "joint_trajectory",
    },
    "no flow, not aligned": {
        "dataset.flow_source": "none",
        "model.motion_encoder.kind": "zero_flow",
        "model.heatmap_aggregation.alignment": "none",
    },
    "DIS flow, not aligned": {"dataset.flow_source": "dis", "model.heatmap_aggregation.alignment": "none"},
    "DIS flow": {"dataset.flow_source": "dis"},
    "exact flow": {"dataset.flow_source": "exact"},
    "DIS flow, alpha 0": {
        "dataset.flow_source": "dis",
        "loss.weights.relevancy": 0.0,
        "loss.weights.complement": 0.0,
        "loss.weights.redundancy": 0.0,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quickstart", required=True, type=pathlib.Path, help="finished workdir of `jmpose quickstart`"
    )
    parser.add_argument("--output", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--split", default="val", help="split to score on; the test split is for final figures alone")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()

    claim = json.loads((arguments.quickstart / "quickstart.json").read_text())
    amount, folder = SCALES[claim["scale"]], arguments.quickstart / "flow_study"
    if not (folder / "prepared").exists():
        for videos, scene in videos_of(amount):
            generate(str(folder / "source"), num_videos=videos, seed=claim["seed"], config=scene, flow=True)
        prepare("synthetic", folder / "source", folder / "prepared")

    rows = {}
    for name in arguments.variants:
        config = jmpose.get_config("tiny")
        config.seed = claim["seed"]
        config.dataset.root = str(folder / "prepared")
        config.init.backbone = str(arguments.quickstart / "backbone")
        config.train.steps = amount.jmpose_steps
        config.update_from_flattened_dict(VARIANTS[name])
        workdir = folder / name.replace(" ", "_").replace(",", "")
        train(config, workdir)
        estimates, table = compare(workdir, arguments.split, config)
        found = score(estimates, table, folder / "prepared" / "annotations" / arguments.split)
        rows[name] = found["subsets"]["JM-Pose"]
        rows["backbone"] = found["subsets"]["backbone"]
        rows["fixed average"] = found["subsets"]["fixed average"]
        print(name, {k: v and round(v, 1) for k, v in rows[name].items()}, flush=True)

    result = {
        "split": arguments.split,
        "seed": claim["seed"],
        "steps": amount.jmpose_steps,
        "mean_ap": rows,
        **machine("flax", "optax"),
    }
    write_json(arguments.output, result)


if __name__ == "__main__":
    main()

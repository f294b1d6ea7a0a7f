"""`jmpose evaluate`: PoseTrack AP and MOTA of a trained model, or of prediction files; endpoint errors of RAFT."""

import dataclasses
import json
import pathlib
import shutil
import sys

import jax
import numpy as np
from absl import flags
from ml_collections import config_flags

from experiments import data, hosts
from experiments.flow_evaluation import describe, evaluate_flow
from experiments.launch import launch
from jmpose_jax.checks import read_json
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.crowd import write_subset
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS
from jmpose_jax.metrics.oks_nms import oks_nms_by_image
from jmpose_jax.records import Predictions
from jmpose_jax.train import distributed


def evaluate(
    config,
    workdir: pathlib.Path,
    checkpoint: str | None,
    predictions: str | None,
    oks_nms_threshold: float | None = None,
    crowd_index: float | None = None,
) -> dict:
    """Score a model or a folder of predictions on the config's evaluation split.

    Args:
      config: of the model; says which data set, split and boxes.
      workdir: gets `evaluation.json`, and `predictions/` where a model is run.
      checkpoint: workdir, `checkpoints/` or one step; the workdir's own by default.
      predictions: folder of PoseTrack18 result files to score instead of running a model.
      oks_nms_threshold: of the poses of a frame that are more alike, the best alone is kept; None keeps all.
      crowd_index: score the frames of at least this CrowdIndex as well; their list goes to `challenging/frames.json`.

    Returns:
      The content of `evaluation.json`; of several processes the first one has it, the others an empty dict.

    Raises:
      InputError: data set, checkpoint or predictions are at fault.
      RunStopped: SIGTERM came while the model was run, or another process died.
    """
    split = config.dataset.eval_split
    annotations = data.dataset_root(config) / "annotations" / split
    if predictions is None:
        # What cannot be scored is refused before the model runs. Of a test split the predictions alone are wanted.
        posetrack.read_truth(annotations, unannotated=True)
        predictions = _predict(config, checkpoint or workdir, workdir / "predictions", annotations, oks_nms_threshold)
    if jax.process_index() != 0:
        return {}  # process 0 has all estimates; it scores and writes
    return score(config, workdir, predictions, crowd_index)


def score(config, workdir: pathlib.Path, predictions: str | pathlib.Path, crowd_index: float | None = None) -> dict:
    """Score a folder of result files on the config's evaluation split; writes and returns `evaluation.json`."""
    split = config.dataset.eval_split
    annotations = data.dataset_root(config) / "annotations" / split
    found = posetrack.evaluate(annotations, predictions)
    result = {
        "split": split,
        "boxes": _box_sources(annotations, pathlib.Path(predictions)),
        "predictions": str(predictions),
        "ap": found.ap,
        "mota": found.mota,
        "mean": found.ap["Total"],
        "sequences": found.sequences,
        "frames": found.frames,
        "unused_predictions": list(found.unused_predictions),
    }
    if crowd_index is not None:
        subset = workdir / "challenging"
        frames = write_subset(annotations, subset, crowd_index)
        on_subset = posetrack.evaluate(subset / "annotations", predictions)
        result["challenging"] = {
            "crowd_index_at_least": crowd_index,
            "frames": len(frames),
            "ap": on_subset.ap,
            "mean": on_subset.ap["Total"],
        }
    write_json(workdir / "evaluation.json", result)
    return result


def _box_sources(annotations: pathlib.Path, predictions: pathlib.Path) -> str:
    """Where the boxes of the scored result files came from, as the files say; "unknown" where one does not."""
    contents = (read_json(predictions / path.name) for path in sorted(annotations.glob("*.json")))
    return ", ".join(sorted({str(content.get("box_source", "unknown")) for content in contents}))


def _box_source(config) -> str:
    """Where the boxes that the loader gives come from."""
    if config.dataset.boxes != "detections":
        return config.dataset.boxes
    summary = data.dataset_root(config) / "summary.json"
    return json.loads(summary.read_text())["boxes"] if summary.is_file() else "detections"


def _suppressed(found: Predictions, person: np.ndarray, threshold: float) -> tuple[Predictions, np.ndarray]:
    """The poses of a video that stay after OKS-NMS, by the mean score of their joints."""
    areas = found.boxes[:, 2] * found.boxes[:, 3]
    rows = oks_nms_by_image(
        found.image_id, found.keypoints, found.scores.mean(axis=1), areas, POSETRACK15_SIGMAS, threshold
    )
    columns = ("image_id", "keypoints", "scores", "boxes", "track_id")
    return dataclasses.replace(found, **{name: getattr(found, name)[rows] for name in columns}), person[rows]


def _predict(
    config,
    checkpoint: str | pathlib.Path,
    output: pathlib.Path,
    annotations: pathlib.Path,
    oks_nms_threshold: float | None = None,
) -> pathlib.Path:
    """Run the model over the split and write one result file a video."""
    from experiments.evaluation import configured_estimator, estimate_split
    from jmpose_jax.train.checkpoints import load_model
    from jmpose_jax.train.sharding import local_mesh, replicated, split_over_devices

    if config.eval.checkpoint not in ("latest", "best"):
        raise InputError(f"config.eval.checkpoint={config.eval.checkpoint!r} is unknown; use latest or best")
    best = config.eval.checkpoint == "best"
    _, model, variables = load_model(checkpoint, best=best, ema=config.eval.ema)
    run = split_over_devices(configured_estimator(config, model))
    variables = jax.device_put(variables, replicated(local_mesh()))
    loader = data.eval_loader(config)
    try:
        table = loader.table
        estimates = estimate_split(
            lambda batch: {"model": run(variables, batch)}, loader, len(table), config.dataset.skeleton
        )["model"]
    finally:
        loader.close()
    if jax.process_index() == 0:
        write_predictions(config, estimates, table, annotations, output, oks_nms_threshold)
    distributed.barrier("predictions are written")
    return output


def write_predictions(
    config,
    estimates,
    table,
    annotations: pathlib.Path,
    output: pathlib.Path,
    oks_nms_threshold: float | None = None,
) -> pathlib.Path:
    """Write the estimates of a split's clips, one PoseTrack18 result file a video, and return their folder."""
    from experiments.evaluation import to_predictions
    from jmpose_jax.inference.export import write_posetrack18

    stage = output.with_name(output.name + ".tmp")
    shutil.rmtree(stage, ignore_errors=True)
    for found, person in to_predictions(table, estimates, annotations):
        if oks_nms_threshold is not None:
            found, person = _suppressed(found, person, oks_nms_threshold)
        write_posetrack18(found, stage / f"{found.video}.json", person, _box_source(config))
    shutil.rmtree(output, ignore_errors=True)
    stage.rename(output)
    return output


def main(argv: list[str] | None = None) -> None:
    config = config_flags.DEFINE_config_file("config", None, "Config file of the model.", lock_config=True)
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; gets evaluation.json and predictions/.")
    checkpoint = flags.DEFINE_string("checkpoint", None, "Evaluate this checkpoint instead of the workdir's latest.")
    join = hosts.define_flags()
    predictions = flags.DEFINE_string("predictions", None, "Score these PoseTrack18 result files instead of a model.")
    oks_nms = flags.DEFINE_float("oks_nms", None, "Keep one of poses that are more alike than this; off by default.")
    crowd = flags.DEFINE_float("crowd_index", None, "Score also the frames of at least this CrowdIndex, and list them.")

    def run() -> None:
        for flag in (config, workdir):
            if flag.value is None:
                raise InputError(f"--{flag.name} is missing")
        join()
        folder = pathlib.Path(workdir.value)
        if config.value.model.name == "raft":
            if jax.process_count() > 1:
                raise InputError("endpoint errors are computed by one process; add --distributed=off and start one")
            print(describe(evaluate_flow(config.value, folder, checkpoint.value or folder)))
            print(f"wrote {folder / 'evaluation.json'}")
            return
        with distributed.told_of_lost_host():
            result = evaluate(config.value, folder, checkpoint.value, predictions.value, oks_nms.value, crowd.value)
        if not result:
            return
        for name in ("ap", "mota"):
            print(f"{name:<5}" + json.dumps({k: round(v, 2) for k, v in result[name].items()}))
        if result["unused_predictions"]:
            names = result["unused_predictions"]
            print(f"{len(names)} files of the predictions have no ground truth and were left out, e.g. {names[0]}")
        if "challenging" in result:
            print(f"AP of {result['challenging']['frames']} crowded frames: {result['challenging']['mean']:.2f}")
        print(f"wrote {pathlib.Path(workdir.value) / 'evaluation.json'}")

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)

"""`jmpose evaluate`: PoseTrack AP and MOTA of a trained model, or of prediction files."""

import json
import pathlib
import shutil
import sys

import jax
from absl import flags
from ml_collections import config_flags

from experiments import data
from experiments.files import write_json
from experiments.launch import launch
from jmpose_jax.errors import InputError
from jmpose_jax.metrics import posetrack
from jmpose_jax.skeletons import SKELETONS


def evaluate(config, workdir: pathlib.Path, checkpoint: str | None, predictions: str | None) -> dict:
    """Score a model or a folder of predictions on the config's evaluation split.

    Args:
      config: of the model; says which data set, split and boxes.
      workdir: gets `evaluation.json`, and `predictions/` where a model is run.
      checkpoint: workdir, `checkpoints/` or one step; the workdir's own by default.
      predictions: folder of PoseTrack18 result files to score instead of running a model.

    Returns:
      The content of `evaluation.json`.

    Raises:
      InputError: data set, checkpoint or predictions are at fault.
    """
    split = config.dataset.eval_split
    annotations = data.dataset_root(config) / "annotations" / split
    if predictions is None:
        predictions = _predict(config, checkpoint or workdir, workdir / "predictions", annotations)
    return score(config, workdir, predictions)


def score(config, workdir: pathlib.Path, predictions: str | pathlib.Path) -> dict:
    """Score a folder of result files on the config's evaluation split; writes and returns `evaluation.json`."""
    split = config.dataset.eval_split
    found = posetrack.evaluate(data.dataset_root(config) / "annotations" / split, predictions)
    result = {
        "split": split,
        "boxes": config.dataset.boxes,
        "predictions": str(predictions),
        "ap": found.ap,
        "mota": found.mota,
        "mean": found.ap["Total"],
        "sequences": found.sequences,
        "frames": found.frames,
    }
    write_json(workdir / "evaluation.json", result)
    return result


def _predict(config, checkpoint: str | pathlib.Path, output: pathlib.Path, annotations: pathlib.Path) -> pathlib.Path:
    """Run the model over the split and write one result file a video."""
    from experiments.evaluation import estimate_split
    from jmpose_jax.inference.estimate import estimator, model_heatmaps
    from jmpose_jax.train.checkpoints import load_model

    _, model, variables = load_model(checkpoint)
    maps = model_heatmaps(
        model,
        SKELETONS[config.dataset.skeleton],
        flip_test=config.eval.flip_test,
        shift=config.eval.shift_heatmap,
    )
    run = jax.jit(estimator(maps, decode=config.eval.decode, blur_kernel=config.eval.blur_kernel))
    loader = data.eval_loader(config)
    try:
        table = loader.table
        estimates = estimate_split(lambda batch: {"model": run(variables, batch)}, loader, len(table))["model"]
    finally:
        loader.close()
    return write_predictions(estimates, table, annotations, output)


def write_predictions(estimates, table, annotations: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """Write the estimates of a split's clips, one PoseTrack18 result file a video, and return their folder."""
    from experiments.evaluation import to_predictions
    from jmpose_jax.inference.export import write_posetrack18

    stage = output.with_name(output.name + ".tmp")
    shutil.rmtree(stage, ignore_errors=True)
    for found, person in to_predictions(table, estimates, annotations):
        write_posetrack18(found, stage / f"{found.video}.json", person)
    shutil.rmtree(output, ignore_errors=True)
    stage.rename(output)
    return output


def main(argv: list[str] | None = None) -> None:
    config = config_flags.DEFINE_config_file("config", None, "Config file of the model.", lock_config=True)
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; gets evaluation.json and predictions/.")
    checkpoint = flags.DEFINE_string("checkpoint", None, "Evaluate this checkpoint instead of the workdir's latest.")
    predictions = flags.DEFINE_string("predictions", None, "Score these PoseTrack18 result files instead of a model.")

    def run() -> None:
        for flag in (config, workdir):
            if flag.value is None:
                raise InputError(f"--{flag.name} is missing")
        result = evaluate(config.value, pathlib.Path(workdir.value), checkpoint.value, predictions.value)
        for name in ("ap", "mota"):
            print(f"{name:<5}" + json.dumps({k: round(v, 2) for k, v in result[name].items()}))
        print(f"wrote {pathlib.Path(workdir.value) / 'evaluation.json'}")

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)

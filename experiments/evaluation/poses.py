"""Poses as what a model is measured by: PoseTrack AP and MOTA, of a trained model or of prediction files."""

import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from data_pipeline.clips.table import ClipTable
from experiments.command.earlier_results import check_place, publish, staging
from experiments.command.reported import reported
from experiments.configuration.trained import at_test, check_eval, check_trained
from experiments.evaluation import scores
from experiments.evaluation.estimates import (
    Scorer,
    configured_estimator,
    in_posetrack15,
    run_split,
    to_predictions,
)
from experiments.evaluation.measure import Measure
from experiments.evaluation.page import PAGE
from experiments.run import clips, data
from experiments.run.few_steps import tell_few_steps
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable, finite_or_none, put_in_place, write_json
from jmpose_jax.inference.outputs.posetrack18 import write_posetrack18
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS
from jmpose_jax.metrics.oks_nms import oks_nms_by_image
from jmpose_jax.progress import say
from jmpose_jax.records import Predictions
from jmpose_jax.train import distributed
from jmpose_jax.train.reading import step_of
from jmpose_jax.train.sharding import local_mesh, replicated, split_over_devices
from jmpose_jax.train.trained import find_checkpoint, load_model

MEASURE = Measure("mAP", "%", "ap", "Total", ("Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl"), 1, 1, 0.5, 0.1, 1.0)
OPTIONS = ("predictions", "oks_nms", "crowd_index")  # flags of `jmpose evaluate` that are for poses
SCORES, POSES, CROWDED = "evaluation.json", "predictions", "challenging"  # what an evaluation leaves in a workdir


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError where a model could not be evaluated once it is trained."""
    check_eval(config)
    data.check_split(config, annotated=True)


def check_training(config: Mapping[str, Any]) -> None:
    """Raises InputError where a model could not be evaluated while it is trained."""
    if config["dataset"]["boxes"] != "ground_truth":
        raise InputError("config.train.evaluate_every scores annotated boxes; set config.dataset.boxes=ground_truth")


def estimator(config: Mapping[str, Any], model: nn.Module, source: str = "the model") -> Callable[..., Any]:
    """(variables, batch) -> keypoints [B, K, 2] in image pixels and scores [B, K], to be jitted."""
    return configured_estimator(config, model, source)


def scorer(config: Mapping[str, Any]) -> Callable[[Any], dict[str, float]]:
    """A function of the estimates of all clips: {"ap": mean AP of the 15 joints in percent}.

    It is NaN, which is never the best, where a coordinate or a score is not finite.

    Raises:
      InputError: the split has no annotations.
    """
    score = Scorer(ClipTable.load(data.dataset_root(config), config["dataset"]["eval_split"]), data.annotations(config))

    def total(found: Any) -> dict[str, float]:
        if not all(np.isfinite(column).all() for column in found):
            return {MEASURE.field: float("nan")}
        return {MEASURE.field: float(score.ap(in_posetrack15(found, config["dataset"]["skeleton"]))["Total"])}

    return total


def evaluate_run(config: Any, folder: pathlib.Path) -> dict[str, float | None]:
    """Evaluate a run's checkpoint as `jmpose evaluate` does; the measure's columns."""
    return finite_or_none(evaluate(config, folder, None, None, quiet=False)["ap"])


def leave(config: Any, found: Any, table: ClipTable, folder: pathlib.Path) -> dict[str, float | None]:
    """Leave in a run's folder what `jmpose evaluate` does, from the estimates of all clips; the measure's columns."""
    estimates = in_posetrack15(found, config.dataset.skeleton)
    annotations = data.annotations(config)
    output = write_predictions(config, estimates, table, annotations, folder / POSES)
    return finite_or_none(score(config, folder, output)["ap"])


def evaluate(
    config,
    workdir: pathlib.Path | None,
    checkpoint: str | None,
    predictions: str | None,
    oks_nms: float | None = None,
    crowd_index: float | None = None,
    *,
    ground_truth: str | None = None,
    if_exists: str = "number",
    quiet: bool = True,
) -> dict:
    """Score a model or a folder of predictions on the config's evaluation split.

    Args:
      config: of the model; says which data set, split and boxes. None with `ground_truth`.
      workdir: gets `evaluation.json`, `evaluation.html`, and `predictions/` where a model is run. None, with
        `predictions`, for no files.
      checkpoint: workdir, `checkpoints/` or one step; the workdir's own by default.
      predictions: folder of PoseTrack result files to score instead of running a model.
      oks_nms: of the poses of a frame that are more alike, the best alone is kept; None keeps all.
      crowd_index: score the frames of at least this CrowdIndex as well; their list goes to `challenging/frames.json`.
      ground_truth: folder of annotation files to score `predictions` against, instead of the config's split.
      if_exists: what becomes of an earlier evaluation, see `earlier_results.publish`.
      quiet: no report of the progress.

    Returns:
      The content of `evaluation.json`; of several processes the first one has it, the others an empty dict.

    Raises:
      InputError: data set, checkpoint or predictions are at fault.
      RunStopped: a signal came while the model was run, or another process died.
    """
    first = jax.process_index() == 0  # it has all estimates; it scores and writes
    annotations = data.annotations(config) if ground_truth is None else pathlib.Path(ground_truth)
    names = [SCORES, PAGE, *([POSES] if predictions is None else []), *([CROWDED] if crowd_index is not None else [])]
    if first:
        if workdir is not None:
            check_writable(workdir, "--workdir")
            check_place(workdir, names, if_exists, [annotations])
        # Of a test split, whose annotations are not published, the predictions alone are wanted.
        annotated = scores.check_truth(annotations, crowd_index, unannotated=predictions is None)
    estimated, scored = None, None
    if predictions is None:
        scored = chosen_checkpoint(config, checkpoint or workdir)
        estimated = _estimate(config, scored, quiet or not first)
    if not first:
        distributed.barrier("predictions are written")
        return {}
    result = {"split": config.dataset.eval_split} if ground_truth is None else {"ground_truth": str(ground_truth)}
    with staging(workdir) as stage:
        if estimated is not None:
            _write_files(config, *estimated, annotations, stage / POSES, oks_nms)
            distributed.barrier("predictions are written")
        if not annotated:
            publish(stage, workdir, [POSES], if_exists)
            raise InputError(
                f"{annotations}: holds no annotated joint, so that nothing can be scored; "
                f"the predictions are in {workdir / POSES}"
            )
        if not quiet:
            say("scoring …")
        poses = stage / POSES if estimated is not None else pathlib.Path(predictions)
        if scored is not None:
            result |= {"checkpoint": str(scored), "step": step_of(scored)}
        result["predictions"] = str(workdir / POSES) if estimated is not None else str(predictions)
        result |= scores.measure(annotations, poses, crowd_index, stage / CROWDED)
        if workdir is not None:
            write_json(stage / SCORES, result)
            scores.write_scores_page(result, stage / PAGE)
            kept = publish(stage, workdir, names, if_exists)
            if kept and not quiet:
                say(f"the earlier evaluation is kept as {', '.join(str(path) for path in kept)}")
    if estimated is not None and not quiet:
        tell_few_steps(scored)
    return result


def score(config, workdir: pathlib.Path, predictions: str | pathlib.Path, crowd_index: float | None = None) -> dict:
    """Score a folder of result files on the config's evaluation split; writes and returns `evaluation.json`."""
    annotations = data.annotations(config)
    found = scores.measure(annotations, pathlib.Path(predictions), crowd_index, workdir / CROWDED)
    result = {"split": config.dataset.eval_split, "predictions": str(predictions)} | found
    write_json(workdir / SCORES, result)
    return result


def _box_source(config) -> str:
    """Where the boxes that the loader gives come from."""
    if config.dataset.boxes != "detections":
        return config.dataset.boxes
    summary = data.dataset_root(config) / "summary.json"
    return str(checks.read_json(summary).get("boxes", "detections")) if summary.is_file() else "detections"


def _suppressed(found: Predictions, person: np.ndarray, threshold: float) -> tuple[Predictions, np.ndarray]:
    """The poses of a video that stay after OKS-NMS, by the mean score of their joints."""
    areas = found.boxes[:, 2] * found.boxes[:, 3]
    rows = oks_nms_by_image(
        found.image_id, found.keypoints, found.scores.mean(axis=1), areas, POSETRACK15_SIGMAS, threshold
    )
    columns = ("image_id", "keypoints", "scores", "boxes", "track_id")
    return dataclasses.replace(found, **{name: getattr(found, name)[rows] for name in columns}), person[rows]


def chosen_checkpoint(config, checkpoint: str | pathlib.Path) -> pathlib.Path:
    """The folder of the checkpoint that the config chooses of a workdir."""
    if config.eval.checkpoint not in ("latest", "best"):
        raise InputError(f"config.eval.checkpoint={config.eval.checkpoint!r} is unknown; use latest or best")
    return find_checkpoint(checkpoint, config.eval.checkpoint == "best")


def _estimate(config, checkpoint: pathlib.Path, quiet: bool) -> tuple:
    """Run the model over the split: the estimates of all clips, and the split's clip table."""
    check_eval(config)
    saved, model, variables = load_model(checkpoint, ema=config.eval.ema)
    check_trained(config, saved, checkpoint)
    model = model.clone(**at_test(config["model"]))
    run = split_over_devices(configured_estimator(config, model, f"checkpoint {checkpoint}"))
    variables = jax.device_put(variables, replicated(local_mesh()))
    loader = clips.evaluate(config)
    try:
        table = loader.table
        batches = reported(loader, "evaluate", enabled=not quiet)
        found = run_split(lambda batch: run(variables, batch), batches, len(table))
    finally:
        loader.close()
    estimates = in_posetrack15(found, config.dataset.skeleton)
    check_finite(estimates, f"checkpoint {checkpoint}")
    return estimates, table


def check_finite(estimates: tuple[np.ndarray, np.ndarray], source: str) -> None:
    """Raises InputError that names the source of estimates where a coordinate or a score is not finite."""
    wrong = sum(~np.isfinite(column).reshape(len(column), -1).all(axis=1) for column in estimates) > 0
    if wrong.any():
        raise InputError(
            f"{source} gives coordinates or scores that are not finite for {wrong.sum()} of {len(wrong)} people; "
            "its weights are damaged, use another checkpoint"
        )


def write_predictions(
    config,
    estimates,
    table,
    annotations: pathlib.Path,
    output: pathlib.Path,
    oks_nms_threshold: float | None = None,
) -> pathlib.Path:
    """Write the estimates of a split's clips, one PoseTrack18 result file a video, and return their folder."""
    check_finite(estimates, f"the model of {output.parent}")
    output.parent.mkdir(parents=True, exist_ok=True)
    stage = pathlib.Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        _write_files(config, estimates, table, annotations, stage / output.name, oks_nms_threshold)
        put_in_place(stage / output.name, output)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return output


def _write_files(
    config, estimates, table, annotations: pathlib.Path, output: pathlib.Path, oks_nms_threshold: float | None
) -> None:
    for found, person in to_predictions(table, estimates, annotations):
        if oks_nms_threshold is not None:
            found, person = _suppressed(found, person, oks_nms_threshold)
        write_posetrack18(found, output / f"{found.video}.json", person, _box_source(config))


def table(result: Mapping[str, Any]) -> str:
    """The scores for people."""
    return scores.table(result)

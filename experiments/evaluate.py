"""`jmpose evaluate`: PoseTrack AP and MOTA of a trained model, or of prediction files; endpoint errors of RAFT.

A trained model: --workdir (with the config.json that `jmpose train` left there, or --config). Prediction files on a
prepared data set: the same and --predictions. Prediction files on a folder of ground truth: --ground_truth and
--predictions, no config; --workdir then only says where evaluation.json goes, and may be left out.
"""

import dataclasses
import pathlib
import shutil
import sys
import tempfile

import jax
import numpy as np
from absl import flags

from data_pipeline.progress import say
from experiments import data, hosts, scores
from experiments.config_files import where_runs_are
from experiments.config_flag import define_config, required_config
from experiments.config_limits import check_sizes
from experiments.earlier_results import check_place, publish, staging
from experiments.few_steps import few_steps
from experiments.flow_evaluation import describe, evaluate_flow
from experiments.launch import launch, required
from experiments.outputs import define_if_exists
from experiments.reported import reported
from experiments.trained_config import check_eval, check_trained
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable, put_in_place, write_json
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS
from jmpose_jax.metrics.oks_nms import oks_nms_by_image
from jmpose_jax.records import Predictions
from jmpose_jax.train import distributed
from jmpose_jax.train.checkpoints import find_checkpoint
from jmpose_jax.train.reading import step_of

SCORES, POSES, CROWDED = "evaluation.json", "predictions", "challenging"  # what an evaluation leaves in a workdir


def evaluate(
    config,
    workdir: pathlib.Path | None,
    checkpoint: str | None,
    predictions: str | None,
    oks_nms_threshold: float | None = None,
    crowd_index: float | None = None,
    *,
    ground_truth: str | None = None,
    if_exists: str = "number",
    quiet: bool = True,
) -> dict:
    """Score a model or a folder of predictions on the config's evaluation split.

    Args:
      config: of the model; says which data set, split and boxes. None with `ground_truth`.
      workdir: gets `evaluation.json`, and `predictions/` where a model is run. None, with `predictions`, for no files.
      checkpoint: workdir, `checkpoints/` or one step; the workdir's own by default.
      predictions: folder of PoseTrack result files to score instead of running a model.
      oks_nms_threshold: of the poses of a frame that are more alike, the best alone is kept; None keeps all.
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
    names = [SCORES, *([POSES] if predictions is None else []), *([CROWDED] if crowd_index is not None else [])]
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
            _write_files(config, *estimated, annotations, stage / POSES, oks_nms_threshold)
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
            kept = publish(stage, workdir, names, if_exists)
            if kept and not quiet:
                say(f"the earlier evaluation is kept as {', '.join(str(path) for path in kept)}")
    if estimated is not None and not quiet:
        warn_of_few_steps(scored)
    return result


def warn_of_few_steps(checkpoint: pathlib.Path, results: str = "poses") -> None:
    """Say on standard error, before the figures, where they are of a model that has hardly been trained."""
    if text := few_steps(checkpoint, results):
        say(f"evaluate: {text}")


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
    from experiments.evaluation import configured_estimator, estimate_split
    from jmpose_jax.train.checkpoints import load_model
    from jmpose_jax.train.sharding import local_mesh, replicated, split_over_devices

    check_eval(config)
    saved, model, variables = load_model(checkpoint, ema=config.eval.ema)
    check_trained(config, saved, checkpoint)
    run = split_over_devices(configured_estimator(config, model, f"checkpoint {checkpoint}"))
    variables = jax.device_put(variables, replicated(local_mesh()))
    loader = data.eval_loader(config)
    try:
        table = loader.table
        batches = reported(loader, "evaluate", enabled=not quiet)
        estimates = estimate_split(
            lambda batch: {"model": run(variables, batch)}, batches, len(table), config.dataset.skeleton
        )["model"]
    finally:
        loader.close()
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
    from experiments.evaluation import to_predictions
    from jmpose_jax.inference.export import write_posetrack18

    for found, person in to_predictions(table, estimates, annotations):
        if oks_nms_threshold is not None:
            found, person = _suppressed(found, person, oks_nms_threshold)
        write_posetrack18(found, output / f"{found.video}.json", person, _box_source(config))


def main(argv: list[str] | None = None) -> None:
    config = define_config("Config file of the model.", saved_in=("checkpoint", "workdir"), unless="ground_truth")
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; gets evaluation.json and predictions/.")
    checkpoint = flags.DEFINE_string("checkpoint", None, "Evaluate this checkpoint instead of the workdir's latest.")
    join = hosts.define_flags()
    predictions = flags.DEFINE_string("predictions", None, "Score these PoseTrack result files instead of a model.")
    truth = flags.DEFINE_string(
        "ground_truth",
        None,
        "Score --predictions against this folder of annotation files (PoseTrack17 or 18 form, e.g. a data set's "
        "annotations/val): no config and no prepared data set is needed. Without --workdir, scores are only printed.",
    )
    oks_nms = flags.DEFINE_float("oks_nms", None, "Keep one of poses that are more alike than this; off by default.")
    crowd = flags.DEFINE_float("crowd_index", None, "Score also the frames of at least this CrowdIndex, and list them.")
    if_exists = define_if_exists(
        default="number",
        number="keep them under the next free number (evaluation-2.json), and give the new ones the fixed names",
    )

    def run() -> None:
        if truth.value is not None:
            required(truth, predictions)
            refuse((config, checkpoint, oks_nms), "does not go with --ground_truth, which scores files alone")
        else:
            required_config(config, workdir)
            check_sizes(config.value)
        if predictions.value is not None:
            refuse((oks_nms,), "is for the poses of a model; leave it out with --predictions")
        join()
        folder = None if not workdir.value else pathlib.Path(workdir.value)
        if truth.value is None and config.value.model.name == "raft":
            refuse((predictions, oks_nms, crowd), "is for poses, and config.model.name is raft")
            if jax.process_count() > 1:
                raise InputError("endpoint errors are computed by one process; add --distributed=off and start one")
            found = evaluate_flow(config.value, folder, checkpoint.value or folder, if_exists.value)
            warn_of_few_steps(find_checkpoint(checkpoint.value or folder), results="flow")
            print(describe(found))
        else:
            if predictions.value is None:
                check_run(folder, checkpoint.value)
            with distributed.told_of_lost_host():
                result = evaluate(
                    config.value,
                    folder,
                    checkpoint.value,
                    predictions.value,
                    oks_nms.value,
                    crowd.value,
                    ground_truth=truth.value,
                    if_exists=if_exists.value,
                    quiet=False,
                )
            if not result:
                return
            print(scores.table(result))
        if folder is not None:
            print(f"wrote {folder / SCORES}")

    def refuse(given: tuple[flags.FlagHolder, ...], why: str) -> None:
        for flag in given:
            if flag.value is not None:
                raise InputError(f"--{flag.name} {why}")

    launch(run, argv)


def check_run(folder: pathlib.Path, checkpoint: str | None) -> None:
    """Raises InputError that names the runs where a folder of several is given in place of one."""
    if checkpoint is None and not (folder / "checkpoints").is_dir() and (below := where_runs_are(folder)):
        raise InputError(f"--workdir={folder} is no run{below}, as --workdir")


if __name__ == "__main__":
    main(sys.argv)

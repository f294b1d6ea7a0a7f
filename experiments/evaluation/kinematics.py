"""Pose sequences as what a model is measured by: MPJPE, PA-MPJPE, acceleration error and PCK, beside the input's."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from data_pipeline.sequences.loader import Split
from data_pipeline.sequences.records import METRES, ROTATIONS
from experiments.command.reported import reported
from experiments.configuration.trained import check_trained
from experiments.evaluation.body import BodyJoints
from experiments.evaluation.estimates import run_split
from experiments.evaluation.leaving import FILE, check_leaving, leave_files
from experiments.evaluation.measure import Measure
from experiments.run import sequences
from experiments.run.few_steps import tell_few_steps
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none, write_json
from jmpose_jax.inference.estimate import Variables, run_model
from jmpose_jax.metrics.pose_sequences import COLUMNS, Scores, score_sequences
from jmpose_jax.records import SequenceBatch
from jmpose_jax.refinement.filters import METHODS, USUAL_FPS
from jmpose_jax.refinement.gaps import filled, known_joints
from jmpose_jax.train.reading import step_of
from jmpose_jax.train.trained import find_checkpoint, load_model

# Two seeds of a small HANet on CMU's motions differed by 2.1 mm; the unit is that of the data.
MEASURE = Measure("MPJPE", "mm or px", "mpjpe", "MPJPE", COLUMNS[1:], 2, -1, 2.0, 0.05, 1.0)
OPTIONS = ("body_model",)  # flags of `jmpose evaluate` beside the common ones
INPUT = "input"
MILLIMETRES = 1000.0
LENGTHS = COLUMNS[:3]  # in the unit of the poses
OF_ROTATIONS = ("MPJPE", "Accel")  # distances of six numbers; they have no similarity, and no person's box


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError where a network could not be evaluated once it is trained."""
    settings = config["eval"]
    if settings["checkpoint"] not in ("latest", "best"):
        raise InputError(f"config.eval.checkpoint={settings['checkpoint']!r} is unknown; use latest or best")
    sequences.evaluated(config)


def check_training(config: Mapping[str, Any]) -> None:
    """Raises InputError where a network could not be evaluated while it is trained."""
    check(config)


def estimator(config: Mapping[str, Any], model: nn.Module, source: str = "the model") -> Callable[..., Any]:
    """(variables, batch) -> refined poses float32 [B, T, C] in the network's coordinates, to be jitted."""

    def estimate(variables: Variables, batch: SequenceBatch) -> jax.Array:
        return run_model(model, variables, batch, source).poses

    return estimate


def scorer(config: Mapping[str, Any]) -> Callable[[Any], dict[str, float]]:
    """A function of the refined poses of all windows: {"mpjpe": mean error}, NaN where a pose is not finite."""
    split = sequences.evaluated(config)

    def total(found: Any) -> dict[str, float]:
        if not np.isfinite(found).all():
            return {MEASURE.field: float("nan")}
        return {MEASURE.field: columns(score(split, split.way_back(found)), split)["MPJPE"]}

    return total


def score(split: Split, refined: list[np.ndarray], body: BodyJoints | None = None) -> Scores:
    """The figures of refined sequences, as `Split.way_back` or a filter gives them.

    Args:
      split: holds the truth.
      refined: one float [T', K, D] a sequence, of its first T' frames; T' beyond its end is padding that counts.
      body: of rotations, makes joints of them, which are then scored in metres, relative to the root.
    """
    truth, scales = [], []
    for sequence, poses in zip(split.data.sequences, refined):
        frames = len(poses)
        missing = max(frames - len(sequence), 0)
        truth.append(np.pad(sequence.target[:frames], [(0, missing), (0, 0), (0, 0)]))
        scale = sequence.scale
        scales.append(None if scale is None else np.pad(scale[:frames], (0, missing)))
    if body is not None:
        return score_sequences(body(refined), body(truth), None, body.roots)
    return score_sequences(refined, truth, scales, split.data.roots)


def inputs(split: Split, refined: list[np.ndarray]) -> list[np.ndarray]:
    """The estimates that were refined, in the frames of the refined sequences; padding is 0, as the truth's."""
    return [_as_long(split.poses(place), len(poses)) for place, poses in enumerate(refined)]


def filtered(split: Split, refined: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The same estimates by each filter of `jmpose refine`, as strong as it is by default at 30 frames a second.

    Gaps stand on straight lines first, as for a network.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    for place, poses in enumerate(refined):
        given = split.poses(place)
        whole = filled(given, known_joints(given)).astype(np.float64)
        for name, made in METHODS.items():
            smooth = made()(whole, np.ones(whole.shape[:2], bool), USUAL_FPS)
            found[name].append(_as_long(smooth, len(poses)))
    return found


def _as_long(poses: np.ndarray, frames: int) -> np.ndarray:
    """The first frames, or 0 behind the last one."""
    return np.pad(poses[:frames], [(0, max(frames - len(poses), 0)), (0, 0), (0, 0)])


def columns(scores: Scores, split: Split, body: BodyJoints | None = None) -> dict[str, float]:
    """The columns for people: lengths of poses in metres are in millimetres; NaN of what rotations do not have."""
    return {name: value * _factor(name, split, body) for name, value in scores.mean.items()}


def _factor(column: str, split: Split, body: BodyJoints | None) -> float:
    """What a figure is multiplied by; NaN where rotations as six numbers have no such figure."""
    if split.data.unit == ROTATIONS and body is None:
        return 1.0 if column in OF_ROTATIONS else float("nan")
    return MILLIMETRES if unit(split, body) == "mm" and column in LENGTHS else 1.0


def unit(split: Split, body: BodyJoints | None = None) -> str:
    """Of the columns that are lengths."""
    return "mm" if split.data.unit == METRES or body is not None else split.data.unit


def evaluate_run(config: Any, folder: pathlib.Path) -> dict[str, float | None]:
    """Evaluate a run's checkpoint as `jmpose evaluate` does; the measure's columns."""
    return evaluate(config, folder, folder)[MEASURE.field][config.model.name]


def leave(config: Any, found: Any, table: Split, folder: pathlib.Path) -> dict[str, float | None]:
    """Leave `evaluation.json` in a run's folder, from the refined poses of all windows; the measure's columns."""
    result = _result(config, table, np.asarray(found), f"the model of {folder}")
    write_json(folder / FILE, result)
    return result[MEASURE.field][config.model.name]


def evaluate(
    config: Mapping[str, Any],
    workdir: pathlib.Path,
    checkpoint: str | pathlib.Path | None = None,
    body_model: str | pathlib.Path | None = None,
    if_exists: str = "number",
    quiet: bool = True,
) -> dict[str, Any]:
    """Score a network on the config's evaluation split.

    Args:
      config: of the model; says which data, split and windows.
      workdir: gets `evaluation.json` and `evaluation.html`.
      checkpoint: workdir, `checkpoints/` or one step, trained or converted; the workdir's own by default.
      body_model: of rotations, the user's file of the body, with which errors are those of joints in millimetres.
      if_exists: what becomes of an earlier evaluation, see `earlier_results.publish`.
      quiet: no report of the progress.

    Returns:
      The content of `evaluation.json`: under "mpjpe" the columns of "input", of the filters by their names and of the
      network, under "joints" those of each joint; None where nothing is known.

    Raises:
      InputError: data or checkpoint are at fault, or several processes are there.
    """
    checkpoint = checkpoint or workdir
    check_leaving(workdir, if_exists, "pose sequences are scored")
    check(config)
    body = _body(config, body_model)
    scored = find_checkpoint(checkpoint, config["eval"]["checkpoint"] == "best")
    saved, model, variables = load_model(scored, ema=config["eval"]["ema"])
    check_trained(config, saved, checkpoint)
    run = jax.jit(estimator(config, model, f"checkpoint {checkpoint}"))
    loader = sequences.evaluate(config)
    split = loader.table
    batches = reported(loader, "evaluate", enabled=not quiet)
    found = run_split(lambda batch: run(variables, batch), batches, len(split))
    result = {"split": config["dataset"]["eval_split"], "checkpoint": str(scored), "step": step_of(scored)}
    if body_model is not None:
        result["body_model"] = str(body_model)
    result |= _result(config, split, found, f"checkpoint {checkpoint}", body)
    caption = f"errors in {result['unit']}, accelerations a frame², PCK in percent, on split {result['split']}"
    rows = result[MEASURE.field]
    leave_files(workdir, if_exists, result, caption, rows, list(COLUMNS), MEASURE.digits, notes(result))
    if not quiet:
        tell_few_steps(scored)
    return result


def _body(config: Mapping[str, Any], path: str | pathlib.Path | None) -> BodyJoints | None:
    if path is None:
        return None
    if config["dataset"]["representation"] != "rotations":
        raise InputError(f"--body_model={path} is for rotations, and these data are joints; leave it out")
    return BodyJoints(path, config["dataset"]["joints"])


def _result(
    config: Mapping[str, Any], split: Split, found: np.ndarray, source: str, body: BodyJoints | None = None
) -> dict[str, Any]:
    if not np.isfinite(found).all():
        raise InputError(f"{source} gives poses that are not finite; its weights are damaged, use another one")
    refined = split.way_back(found)
    rows = {INPUT: score(split, inputs(split, refined), body)}
    rows |= {name: score(split, poses, body) for name, poses in filtered(split, refined).items()}
    rows[config["model"]["name"]] = score(split, refined, body)
    return {
        "unit": unit(split, body),
        "sequences": len(split.data.sequences),
        "frames": rows[INPUT].frames,
        "scored_frames": rows[config["model"]["name"]].frames,
        "unscored_tail": int(sum(max(len(s) - len(r), 0) for s, r in zip(split.data.sequences, refined))),
        "skipped": {what: count for what, count in split.data.skipped.items() if count},
        MEASURE.field: {name: finite_or_none(columns(scores, split, body)) for name, scores in rows.items()},
        "joints": {
            name: {
                column: finite_or_none(dict(zip(split.data.joints, (values * _factor(column, split, body)).tolist())))
                for column, values in scores.joints.items()
            }
            for name, scores in rows.items()
        },
    }


def notes(result: Mapping[str, Any]) -> list[str]:
    """What must be known of the figures."""
    found = [
        f"{result['sequences']} sequences, {result['scored_frames']} frames with a known joint",
        f"{', '.join(METHODS)}: the filters of `jmpose refine`, as they are at {USUAL_FPS:g} frames a second",
    ]
    if "body_model" in result:
        found.append("joints are those of the body model in its mean shape, relative to the root")
    if result["unscored_tail"]:
        found.append(f"{result['unscored_tail']} frames behind the last whole step are not scored (dataset.tail=drop)")
    if result["frames"] != result["scored_frames"]:
        found.append(
            f"the input's figures are of the {result['frames']} frames in which the estimator gave a joint; "
            "filters and network fill gaps"
        )
    return [*found, *(f"left out: {count} {what}" for what, count in result["skipped"].items())]


def table(result: Mapping[str, Any]) -> str:
    """The figures as a table of input, filters and network."""
    lines = [f"unit {result['unit']}".ljust(12) + "".join(column.rjust(10) for column in COLUMNS)]
    for name, values in result[MEASURE.field].items():
        shown = ("–" if values[column] is None else f"{values[column]:.{MEASURE.digits}f}" for column in COLUMNS)
        lines.append(name.ljust(12) + "".join(text.rjust(10) for text in shown))
    return "\n".join([*lines, *notes(result)])

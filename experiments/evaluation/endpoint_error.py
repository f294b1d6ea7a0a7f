"""Endpoint errors of a flow network, of OpenCV's DIS and of zero flow on the same pairs with exact flow."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.clips.table import ClipTable
from experiments.command.reported import reported
from experiments.configuration.trained import check_kind
from experiments.evaluation.estimates import run_split
from experiments.evaluation.leaving import FILE, check_leaving, leave_files
from experiments.evaluation.measure import Measure
from experiments.run import clips, data
from experiments.run.few_steps import tell_few_steps
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none, write_json
from jmpose_jax.inference.estimate import Variables, run_model
from jmpose_jax.losses.flow import average_cells, endpoint_error, known_flow
from jmpose_jax.models.registry import create_model
from jmpose_jax.ops.optical_flow import dis_flow, flow_pair_indices
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.reading import step_of
from jmpose_jax.train.trained import find_checkpoint, load_variables

# How much a seed matters to the endpoint error has not been measured; a twentieth of a pixel moves no pose.
MEASURE = Measure("endpoint error", "px", "endpoint_error", "all", ("moving",), 3, -1, 0.05, 0.005, 0.1)
OPTIONS: tuple[str, ...] = ()  # flags of `jmpose evaluate` beside the common ones
NO_PIXEL = "no pixel with known flow is of this kind"
METHODS = ("network", "dis", "zero")


def check(config: Mapping[str, Any]) -> None:
    """Raises InputError where a flow network could not be evaluated once it is trained."""
    _check_exact(config)
    data.check_split(config, annotated=False)


def check_training(config: Mapping[str, Any]) -> None:
    """Raises InputError where a flow network could not be evaluated while it is trained."""
    check(config)


def estimator(config: Mapping[str, Any], model: nn.Module, source: str = "the model") -> Callable[..., Any]:
    """(variables, batch) -> what `errors` says of the network's flow for each clip, to be jitted."""

    def estimate(variables: Variables, batch: ClipBatch) -> dict[str, Any]:
        output = run_model(model, variables, batch, source)
        stride = output.flow.shape[-3] // batch.flow.shape[-3]
        known = known_flow(output.first, output.second, stride)
        flow = average_cells(output.flow[0], stride)
        finite = jnp.isfinite(flow).all((1, 2, 3, 4))
        return errors(config, flow, batch, known) | {"finite": finite}

    return estimate


def errors(config: Mapping[str, Any], flow: jax.Array, batch: ClipBatch, known: jax.Array) -> dict[str, Any]:
    """Endpoint errors of a batch, summed clip by clip.

    Args:
      config: says which frames are paired.
      flow: float32 [B, P, h, w, 2], crop pixels.
      batch: with the exact flow.
      known: float32 [B, P, h, w], which cells have one.

    Returns:
      {"error": {part: [B]}, "pixels": {part: [B]}}; the parts are all known pixels, those that move by more than one
      pixel, and each distance in frames.
    """
    pairs = flow_pair_indices(config["dataset"]["delta"], config["dataset"]["flow_pairs"])
    distances = np.array([abs(b - a) for a, b in pairs])
    parts = {"all": known, "moving": known * (jnp.linalg.norm(batch.flow, axis=-1) > 1)}
    for distance in np.unique(distances):
        chosen = (distances == distance)[None, :, None, None]
        parts[f"{distance} frame{'s' if distance > 1 else ''}"] = known * chosen
    wrong = endpoint_error(flow, batch.flow)
    total = functools.partial(jnp.einsum, "bphw,bphw->b", precision=jax.lax.Precision.HIGHEST)
    return {
        "error": {part: total(wrong, weights) for part, weights in parts.items()},
        "pixels": {part: jnp.sum(weights, (1, 2, 3)) for part, weights in parts.items()},
    }


def scorer(config: Mapping[str, Any]) -> Callable[[Any], dict[str, float]]:
    """A function of the sums of all clips: {"endpoint_error": mean over all known pixels}, NaN where there is none."""

    def total(found: Any) -> dict[str, float]:
        mean = means(found)["all"]
        return {MEASURE.field: float("nan") if mean is None or not found["finite"].all() else mean}

    return total


def means(found: Mapping[str, Any]) -> dict[str, float | None]:
    """The mean error of every part, None of one without a pixel; `found`: of all clips, as `errors` gives them."""
    counts = {part: float(np.sum(column, dtype=np.float64)) for part, column in found["pixels"].items()}
    sums = {part: float(np.sum(column, dtype=np.float64)) for part, column in found["error"].items()}
    return {part: sums[part] / count if count else None for part, count in counts.items()}


def evaluate_run(config: Any, folder: pathlib.Path) -> dict[str, float | None]:
    """Evaluate a run's checkpoint as `jmpose evaluate` does; the measure's columns."""
    return finite_or_none(evaluate(config, folder, folder)["endpoint_error"]["network"])


def leave(config: Any, found: Any, table: ClipTable, folder: pathlib.Path) -> dict[str, float | None]:
    """Leave `evaluation.json` in a run's folder, from the sums of all clips; the measure's columns."""
    columns = finite_or_none(means(found))
    write_json(folder / FILE, {"split": config.dataset.eval_split, MEASURE.field: {"network": columns}})
    return columns


def evaluate(
    config: Mapping[str, Any],
    workdir: pathlib.Path,
    checkpoint: str | pathlib.Path | None = None,
    if_exists: str = "number",
    quiet: bool = True,
) -> dict[str, Any]:
    """Score a flow network on the config's evaluation split.

    Args:
      config: of `configs/raft_synthetic.py`; says which data set, split, pairs and number of iterations.
      workdir: gets `evaluation.json` and `evaluation.html`.
      checkpoint: of a RAFT of the config's size, trained or converted; the workdir's latest by default.
      if_exists: what becomes of an earlier evaluation, see `earlier_results.publish`.
      quiet: do not say that the network has hardly been trained.

    Returns:
      The content of `evaluation.json`: mean endpoint error in crop pixels of "network", "dis" and "zero" over the parts
      of `errors`; None, with the reason under `absent`, over parts without a pixel.

    Raises:
      InputError: data set or checkpoint are at fault, or several processes are there.
    """
    dataset, checkpoint = config["dataset"], checkpoint or workdir
    check_leaving(workdir, if_exists, "endpoint errors are computed")
    _check_exact(config)
    scored = find_checkpoint(checkpoint)
    saved, variables = load_variables(scored)
    check_kind(config, saved, checkpoint)
    model = create_model(config["model"])
    if (found := (saved.get("model") or {}).get("size")) != model.size:
        raise InputError(f"checkpoint {checkpoint} is no RAFT of size {model.size!r} (its size is {found!r})")
    run = jax.jit(estimator(config, model, f"checkpoint {checkpoint}"))
    measured = jax.jit(lambda flow, batch, known: errors(config, flow, batch, known))
    pairs = flow_pair_indices(dataset["delta"], dataset["flow_pairs"])
    first, second = (np.array(side) for side in zip(*pairs))

    def rows(batch: ClipBatch) -> dict[str, Any]:
        stride = batch.frames.shape[2] // batch.flow.shape[2]
        known = known_flow(batch.frames[:, first], batch.frames[:, second], stride)
        dis = np.stack([dis_flow(np.asarray(clip), pairs, stride) for clip in batch.frames])
        others = {"dis": dis, "zero": np.zeros_like(batch.flow)}
        return {"network": run(variables, batch)} | {n: measured(flow, batch, known) for n, flow in others.items()}

    loader = clips.evaluate(config)
    try:
        found = run_split(rows, reported(loader, "evaluate"), len(loader.table))
    finally:
        loader.close()
    if not found["network"].pop("finite").all():
        raise InputError(
            f"checkpoint {checkpoint} gives flow that is not finite; its weights are damaged, use another one"
        )
    pixels = {part: int(np.sum(column, dtype=np.float64)) for part, column in found["zero"]["pixels"].items()}
    if not pixels["all"]:
        raise InputError(f"config.dataset.eval_split={dataset['eval_split']!r} holds no pair with exact flow")
    result = {
        "split": dataset["eval_split"],
        "checkpoint": str(scored),
        "step": step_of(scored),
        "iterations": model.iterations,
        "pixels": pixels,
        "endpoint_error": {method: means(found[method]) for method in METHODS},
    }
    if absent := {part: NO_PIXEL for part, count in pixels.items() if not count}:
        result["absent"] = absent
    caption = f"endpoint error in pixels of the crops, on split {result['split']}"
    notes = [f"{part}: {why}" for part, why in result.get("absent", {}).items()]
    leave_files(workdir, if_exists, result, caption, result["endpoint_error"], list(pixels), MEASURE.digits, notes)
    if not quiet:
        tell_few_steps(scored, results="flow")
    return result


def _check_exact(config: Mapping[str, Any]) -> None:
    source = config["dataset"]["flow_source"]
    if source != "exact":
        raise InputError(f"config.dataset.flow_source={source!r}: endpoint errors need exact")


def table(result: Mapping[str, Any]) -> str:
    """The endpoint errors as a table of methods and parts."""
    errors = result["endpoint_error"]
    parts = list(result["pixels"])
    lines = ["endpoint error, px  " + "".join(part.rjust(10) for part in parts)]
    lines += [method.ljust(20) + "".join(_pixels(errors[method][part]) for part in parts) for method in METHODS]
    lines += [f"{part}: {reason}" for part, reason in result.get("absent", {}).items()]
    return "\n".join(lines)


def _pixels(error: float | None) -> str:
    return "–".rjust(10) if error is None else f"{error:10.3f}"

"""Endpoint errors of a flow network, of OpenCV's DIS and of zero flow on the same pairs with exact flow."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.progress import say
from experiments import data
from experiments.earlier_results import check_place, publish, staging
from experiments.reported import reported
from experiments.trained_config import check_kind
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable, write_json
from jmpose_jax.inference.estimate import run_model
from jmpose_jax.losses.flow import average_cells, endpoint_error, known_flow
from jmpose_jax.models.registry import create_model
from jmpose_jax.ops.optical_flow import dis_flow, flow_pair_indices
from jmpose_jax.train.checkpoints import find_checkpoint, load_variables
from jmpose_jax.train.reading import step_of

NO_PIXEL = "no pixel with known flow is of this kind"
METHODS = ("network", "dis", "zero")


def evaluate_flow(
    config: Mapping[str, Any], workdir: pathlib.Path, checkpoint: str | pathlib.Path, if_exists: str = "number"
) -> dict[str, Any]:
    """Score a flow network on the config's evaluation split.

    Args:
      config: of `configs/raft_synthetic.py`; says which data set, split, pairs and number of iterations.
      workdir: gets `evaluation.json`.
      checkpoint: of a RAFT of the config's size, trained or converted.
      if_exists: what becomes of an earlier evaluation, see `earlier_results.publish`.

    Returns:
      The content of `evaluation.json`: mean endpoint error in crop pixels of "network", "dis" and "zero" over all
      known pixels, over those that move by more than one pixel, and over each distance in frames; None, with the reason
      under `absent`, over parts without a pixel.

    Raises:
      InputError: data set or checkpoint are at fault.
    """
    dataset = config["dataset"]
    check_writable(workdir, "--workdir")
    check_place(workdir, ["evaluation.json"], if_exists, [])
    if dataset["flow_source"] != "exact":
        raise InputError(f"config.dataset.flow_source={dataset['flow_source']!r}: endpoint errors need exact")
    scored = find_checkpoint(checkpoint)
    saved, variables = load_variables(scored)
    check_kind(config, saved, checkpoint)
    model = create_model(config["model"])
    if (found := (saved.get("model") or {}).get("size")) != model.size:
        raise InputError(f"checkpoint {checkpoint} is no RAFT of size {model.size!r} (its size is {found!r})")
    pairs = flow_pair_indices(dataset["delta"], dataset["flow_pairs"])
    distances = np.array([abs(b - a) for a, b in pairs])
    loader = data.eval_loader(config)
    sums: dict[str, dict[str, float]] = {method: {} for method in METHODS}
    counts: dict[str, float] = {}

    @jax.jit
    def run(variables: Any, batch: Any) -> Any:
        output = run_model(model, variables, batch, f"checkpoint {checkpoint}")
        stride = output.flow.shape[-3] // batch.flow.shape[-3]
        known = known_flow(output.first, output.second, stride) * batch.valid[:, None, None, None]
        return average_cells(output.flow[0], stride), known

    error = jax.jit(endpoint_error)
    try:
        for batch in reported(loader, "evaluate"):
            flow, known = run(variables, batch)
            stride = batch.frames.shape[2] // batch.flow.shape[2]
            flows = {
                "network": flow,
                "dis": np.stack([dis_flow(np.asarray(clip), pairs, stride) for clip in batch.frames]),
                "zero": jnp.zeros_like(flow),
            }
            known = np.asarray(known, np.float64)
            if not np.isfinite(flow).all():
                raise InputError(
                    f"checkpoint {checkpoint} gives flow that is not finite; its weights are damaged, use another one"
                )
            moving = np.linalg.norm(batch.flow, axis=-1) > 1
            parts = {"all": known, "moving": known * moving}
            for distance in np.unique(distances):
                chosen = (distances == distance)[None, :, None, None]
                parts[f"{distance} frame{'s' if distance > 1 else ''}"] = known * chosen
            for part, weights in parts.items():
                counts[part] = counts.get(part, 0.0) + float(weights.sum())
            for method, found in flows.items():
                distance = np.asarray(error(found, batch.flow), np.float64)
                for part, weights in parts.items():
                    sums[method][part] = sums[method].get(part, 0.0) + float((distance * weights).sum())
    finally:
        loader.close()
    if not counts.get("all"):
        raise InputError(f"config.dataset.eval_split={dataset['eval_split']!r} holds no pair with exact flow")
    result = {
        "split": dataset["eval_split"],
        "checkpoint": str(scored),
        "step": step_of(scored),
        "iterations": model.iterations,
        "pixels": {part: int(count) for part, count in counts.items()},
        "endpoint_error": {
            method: {part: total / counts[part] if counts[part] else None for part, total in found.items()}
            for method, found in sums.items()
        },
    }
    if absent := {part: NO_PIXEL for part, count in counts.items() if not count}:
        result["absent"] = absent
    with staging(workdir) as stage:
        write_json(stage / "evaluation.json", result)
        for kept in publish(stage, workdir, ["evaluation.json"], if_exists):
            say(f"the earlier evaluation is kept as {kept}")
    return result


def describe(result: Mapping[str, Any]) -> str:
    """The endpoint errors as a table of methods and parts."""
    errors = result["endpoint_error"]
    parts = list(result["pixels"])
    lines = ["endpoint error, px  " + "".join(part.rjust(10) for part in parts)]
    lines += [method.ljust(20) + "".join(_pixels(errors[method][part]) for part in parts) for method in METHODS]
    lines += [f"{part}: {reason}" for part, reason in result.get("absent", {}).items()]
    return "\n".join(lines)


def _pixels(error: float | None) -> str:
    return "–".rjust(10) if error is None else f"{error:10.3f}"

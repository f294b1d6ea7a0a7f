"""Losses as pure functions from output and batch to {name: (sum, count)}."""

from collections.abc import Mapping

import jax

from jmpose_jax.losses.flow import flow_losses
from jmpose_jax.losses.heatmap import heatmap_loss
from jmpose_jax.losses.orthogonality import orthogonality_loss, term_weights
from jmpose_jax.ops.heatmaps import encode
from jmpose_jax.records import ClipBatch, PoseOutput

__all__ = ["compute", "flow_losses", "heatmap_loss", "orthogonality_loss", "term_weights"]


def compute(
    output: PoseOutput,
    batch: ClipBatch,
    *,
    sigma: float = 3.0,
    target: str = "official",
    temperature: float = 0.1,
    feature_temperature: float = 1.0,
    features: str = "raw",
    estimators: Mapping[str, str] | None = None,
    normalization: str = "pixels",
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Every loss term that a model's output allows.

    Args:
      output: of any model.
      batch: the clips it was computed from.
      sigma: standard deviation of the target Gaussians, heatmap pixels.
      target: "official" or "exact", as in `ops.heatmaps.encode`.
      temperature, feature_temperature, features, estimators, normalization: of the information terms, as in
        `orthogonality_loss`.

    Returns:
      "heatmap" always; "relevancy", "complement", "redundancy" and "predictor_fit" where the model has predictors. Each
      is (sum, count), float32 scalars that may be added over devices before they are divided.
    """
    size = output.heatmaps.shape[1:3]
    stride = batch.frames.shape[2] // size[0]
    targets, weights = encode(
        batch.keypoints, batch.joint_weights, heatmap_size=size, stride=stride, sigma=sigma, mode=target
    )
    terms = {"heatmap": heatmap_loss(output.heatmaps, targets, weights, batch.valid)}
    if output.features.get("predictors"):
        terms |= orthogonality_loss(
            output,
            batch.valid,
            temperature=temperature,
            feature_temperature=feature_temperature,
            features=features,
            estimators=estimators,
            normalization=normalization,
            sigma=sigma,
        )
    return terms

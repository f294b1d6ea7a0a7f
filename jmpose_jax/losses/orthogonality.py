"""The information orthogonality loss (Eq. 13), summed over the layers of mutual learning (Eq. 16)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmpose_jax.information.objective import (
    INFORMATION_TERMS,
    TERMS,
    empty_heatmap_loss,
    orthogonality_terms,
    term_scales,
)
from jmpose_jax.records import PoseOutput


def orthogonality_loss(
    output: PoseOutput,
    valid: jax.Array,
    *,
    temperature: float = 0.1,
    feature_temperature: float = 1.0,
    features: str = "raw",
    estimators: Mapping[str, str] | None = None,
    normalization: str = "pixels",
    sigma: float = 3.0,
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Σ_i L_IO^i term by term, and the fit of the predictors.

    Args:
      output: of a model with features "joint_layers", "motion_layers", "predictors" and "aggregated_heatmaps".
      valid: float32 [B], 0 for the padding of a batch.
      temperature, feature_temperature, features, estimators: as in `orthogonality_terms`.
      normalization: as in `term_scales`.
      sigma: standard deviation of the target Gaussians, heatmap pixels: the scale of "heatmap_loss".

    Returns:
      {"relevancy", "complement", "redundancy", "predictor_fit": (sum over clips, count of clips)}.
    """
    found = output.features
    aggregated = found["aggregated_heatmaps"]
    batch, height, width, joints = aggregated.shape
    layers = list(zip(found["joint_layers"], found["motion_layers"], found["predictors"]))
    scales = term_scales(
        normalization,
        estimators,
        pixels=height * width,
        samples=batch * joints,
        layers=len(layers),
        empty_loss=empty_heatmap_loss(sigma, height * width),
    )
    options = dict(temperature=temperature, feature_temperature=feature_temperature, features=features, valid=valid)
    totals = dict.fromkeys(TERMS, jnp.zeros(()))
    for layer in layers:
        terms = orthogonality_terms(*layer, aggregated, estimators=estimators, **options)
        totals = {name: totals[name] + terms[name] for name in TERMS}
    count = jnp.sum(valid)
    return {name: (totals[name] * scales[name] * count, count) for name in TERMS}


def term_weights(weights: Mapping[str, float], alpha: float = 1.0, normalization: str = "pixels") -> dict[str, float]:
    """The weight that each term enters the total with (Eq. 16): L = L_H + α Σ λ_term · term.

    Args:
      weights: weight of every term by name, λ of the information terms among them.
      alpha: α, multiplies the information terms.
      normalization: with "heatmap_loss" the λ are relative to the weight of the heatmap loss; with "pixels" they stand
        for themselves.

    Returns:
      Name -> weight.
    """
    relative = weights["heatmap"] if normalization == "heatmap_loss" else 1.0
    return {name: alpha * relative * w if name in INFORMATION_TERMS else w for name, w in weights.items()}

"""The information orthogonality loss (Eq. 13), summed over the layers of mutual learning (Eq. 16)."""

import jax
import jax.numpy as jnp

from jmpose_jax.information.objective import TERMS, orthogonality_terms
from jmpose_jax.records import PoseOutput


def orthogonality_loss(
    output: PoseOutput, valid: jax.Array, *, temperature: float = 0.1, feature_temperature: float = 1.0
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Σ_i L_IO^i term by term, and the fit of the predictors.

    Args:
      output: of a model with features "joint_layers", "motion_layers", "predictors" and "aggregated_heatmaps".
      valid: float32 [B], 0 for the padding of a batch.
      temperature, feature_temperature: as in `orthogonality_terms`.

    Returns:
      {"relevancy", "complement", "redundancy", "predictor_fit": (sum over clips, count of clips)}.
    """
    features = output.features
    options = dict(temperature=temperature, feature_temperature=feature_temperature)
    totals = dict.fromkeys(TERMS, jnp.zeros_like(valid))
    for layer in zip(features["joint_layers"], features["motion_layers"], features["predictors"]):
        terms = orthogonality_terms(*layer, features["aggregated_heatmaps"], **options)
        totals = {name: totals[name] + terms[name] for name in TERMS}
    return {name: (jnp.sum(total * valid), jnp.sum(valid)) for name, total in totals.items()}

"""The information orthogonality objective L_IO (Eq. 12 and 13), from variational self-distillation."""

import jax
import jax.numpy as jnp

from jmpose_jax.information.predictors import LayerPredictions, PredictorLogits
from jmpose_jax.information.variational import LOG2, js, kl, pixel_log_distribution

TERMS = ("relevancy", "complement", "redundancy", "predictor_fit")


def orthogonality_terms(
    joint: jax.Array,
    motion: jax.Array,
    predictions: LayerPredictions,
    aggregated: jax.Array,
    *,
    temperature: float = 0.1,
    feature_temperature: float = 1.0,
) -> dict[str, jax.Array]:
    """The three terms of Eq. 13 for one layer, all to be minimised, and the loss that fits their predictors.

    A map is read as a distribution over its pixels, P = softmax(map / temperature); P_H is that of Ĥ_t, P_J, P_M and
    P_JM those that the predictors make of J^i, M^i and both.

    relevancy, I(M; J): log 2 - JS(J ‖ M), channel by channel; between 0 and log 2, 0 where the features look at
      different places. It is not estimated through Ĥ_t: if all three terms were, they would cancel identically.
    complement, -I(J; Ĥ): KL(P_H ‖ P_J), the Barber-Agakov bound without the constant entropy of P_H.
    redundancy, I(Ĥ; J | M): KL(P_JM ‖ P_M), the case in which self-distillation is exact.
    predictor_fit: the cross-entropies of P_J, P_M and P_JM to P_H.

    Gradients of the first three reach J^i and M^i only, those of the last the predictors only; Ĥ_t gets none as the
    condition of any term. Each divergence is divided by the number of pixels, the scale of a mean over pixels.

    Args:
      joint: J^i, float32 [B, h, w, C].
      motion: M^i, float32 [B, h, w, C].
      predictions: of the same layer, [B, h, w, K] each.
      aggregated: Ĥ_t, float32 [B, h, w, K].
      temperature: of the heatmaps and predictions; at 0.1 a peak of 1 outweighs a background of 0 by e^10.
      feature_temperature: of the features in relevancy.

    Returns:
      {term: float32 [B]} for the names in TERMS; means over joints or channels.
    """
    pixels = joint.shape[1] * joint.shape[2]
    target = pixel_log_distribution(jax.lax.stop_gradient(aggregated), temperature)

    def distributions(logits: PredictorLogits) -> tuple[jax.Array, jax.Array, jax.Array]:
        return tuple(pixel_log_distribution(x, temperature) for x in (logits.joint, logits.motion, logits.both))

    from_joint, from_motion, from_both = distributions(predictions.terms)
    features = (pixel_log_distribution(x, feature_temperature) for x in (joint, motion))
    values = {
        "relevancy": LOG2 - js(*features, axis=1),
        "complement": kl(target, from_joint, axis=1),
        "redundancy": kl(from_both, from_motion, axis=1),
        "predictor_fit": sum(-jnp.sum(jnp.exp(target) * q, 1) for q in distributions(predictions.fit)),
    }
    return {name: jnp.mean(value, -1) / pixels for name, value in values.items()}

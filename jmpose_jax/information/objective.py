"""The information orthogonality objective L_IO (Eq. 12 and 13), each term by an estimator of choice."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.choice import INFORMATION_TERMS, resolve_estimators
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.pooling import describe_maps, pool, standardize, standardize_maps
from jmpose_jax.information.predictors import LayerPredictions
from jmpose_jax.information.variational import pixel_log_distribution

TERMS = (*INFORMATION_TERMS, "predictor_fit")
NORMALIZATIONS = ("pixels", "heatmap_loss")


def orthogonality_terms(
    joint: jax.Array,
    motion: jax.Array,
    predictions: LayerPredictions,
    aggregated: jax.Array,
    *,
    valid: jax.Array | None = None,
    temperature: float = 0.1,
    feature_temperature: float = 1.0,
) -> dict[str, jax.Array]:
    """The three terms of Eq. 13 for one layer in nats, all to be minimised, and the loss that fits their predictors.

    A map is read as a distribution over its pixels, P = softmax(map / temperature); P_H is that of Ĥ_t, P_J, P_M and
    P_JM those that the predictors make of J^i, M^i and both.

    relevancy, I(M; J). With "vml_js": log 2 - JS(J ‖ M), channel by channel; between 0 and log 2, 0 where the features
      look at different places. It is not estimated through Ĥ_t: if all three terms were, they would cancel identically.
      The other divergences are taken from log(pixels) and stop at 0, since a KL has no upper limit.
    complement, -I(J; Ĥ). With "vsd": KL(P_H ‖ P_J), the Barber-Agakov bound without the constant entropy of P_H;
      "vml_js" and "vml_kl" put their divergence in its place.
    redundancy, I(Ĥ; J | M). With "vsd": KL(P_JM ‖ P_M), the case in which self-distillation is exact; "vml_js" and
      "vml_kl" likewise.
    "vcd" takes the two maps of a term for its two views, each of which learns from the other, frozen.
    predictor_fit: the cross-entropies of P_J, P_M and P_JM to P_H, and the losses of the critics.

    Estimators on samples (CLUB, InfoNCE, …) read one vector a joint and clip: features pooled over P_H; Ĥ by
    `describe_maps`. The complement is then log N - I(J; Ĥ) with N samples, the redundancy I(Ĥ; J, M) - I(Ĥ; M).
    "vsd_public" follows the lineage: its value counts as information, and enters times the number of pixels.

    Gradients of the first three reach J^i and M^i only, those of the last the predictors only; Ĥ_t gets none as the
    condition of any term.

    Args:
      joint: J^i, float32 [B, h, w, C].
      motion: M^i, float32 [B, h, w, C].
      predictions: of the same layer. They say which estimator each term has, and what they read: "raw" features, or
        "standardized" ones (mean 0 and variance 1 in every channel, `standardize_maps`), as relevancy's divergence then
        does.
      aggregated: Ĥ_t, float32 [B, h, w, K].
      valid: float32 [B], 0 for the padding of a batch.
      temperature: of the heatmaps and predictions; at 0.1 a peak of 1 outweighs a background of 0 by e^10.
      feature_temperature: of the features in relevancy.

    Returns:
      {term: float32 scalar, nats} for the names in TERMS; means over clips, joints or channels.

    Raises:
      InputError: as `resolve_estimators`.
    """
    chosen = resolve_estimators(dict(predictions.estimators))
    aggregated = jax.lax.stop_gradient(aggregated)
    batch, height, width, joints = aggregated.shape
    pixels, samples = height * width, batch * joints
    target = pixel_log_distribution(aggregated, temperature)
    logits, fits = predictions.terms, [_cross_entropy(target, predictions.fit, valid, temperature)]

    def compare(name: str, x: jax.Array, y: jax.Array, heat: float, freeze: bool = False) -> jax.Array:
        options = {"freeze": freeze} if name in ("vsd", "vsd_public") else {}
        flat = tuple(z.reshape(batch, pixels, -1) for z in (x, y))
        flat = (flat, flat) if name == "vcd" else flat
        value = ESTIMATORS[name].function(*flat, weights=valid, temperature=heat, axis=1, **options).bound
        return value * pixels if name == "vsd_public" else value

    pooled: dict[str, jax.Array] = {}
    weights = None if valid is None else jnp.repeat(valid, joints)

    def samples_of(name: str) -> jax.Array:
        """One standardised vector a clip and joint, made once."""
        if name not in pooled:
            made = (
                describe_maps(aggregated, target) if name == "heatmaps" else pool(dict(J=joint, M=motion)[name], target)
            )
            pooled[name] = standardize(made, weights)
        return pooled[name]

    def information(name: str, x: str, y: str, critic: str) -> jax.Array:
        vectors = jnp.concatenate([samples_of(part) for part in x], -1)
        found = ESTIMATORS[name].function(vectors, samples_of(y), predictions.critics[critic], weights=weights)
        fits.append(found.fit)
        return found.bound

    values = {}
    name = chosen["relevancy"]
    seen = standardize_maps if predictions.features == "standardized" else lambda x: x
    if ESTIMATORS[name].critic:
        values["relevancy"] = information(name, "M", "J", "relevancy")
    elif name == "vsd_public":
        values["relevancy"] = compare(name, seen(motion), seen(joint), feature_temperature, freeze=True)
    else:
        divergence = compare(name, seen(motion), seen(joint), feature_temperature)
        values["relevancy"] = jnp.maximum(reference_nats(name, pixels, samples) - divergence, 0.0)

    name = chosen["complement"]
    if ESTIMATORS[name].critic:
        values["complement"] = math.log(samples) - information(name, "J", "heatmaps", "complement")
    else:
        sign = -1.0 if name == "vsd_public" else 1.0
        values["complement"] = sign * compare(name, aggregated, logits.joint, temperature, freeze=True)

    name = chosen["redundancy"]
    if ESTIMATORS[name].critic:
        both = information(name, "JM", "heatmaps", "redundancy_both")
        values["redundancy"] = both - information(name, "M", "heatmaps", "redundancy_motion")
    elif name == "vsd_public":
        both, alone = (compare(name, aggregated, x, temperature, freeze=True) for x in (logits.both, logits.motion))
        values["redundancy"] = both - alone
    else:
        values["redundancy"] = compare(name, logits.both, logits.motion, temperature)

    return values | {"predictor_fit": sum(fits)}


def _cross_entropy(target: jax.Array, fit, valid: jax.Array | None, temperature: float) -> jax.Array:
    """Cross-entropy to P_H of the predictions that there are, mean over clips and joints, summed over predictors."""
    made = [x for x in (fit.joint, fit.motion, fit.both) if x is not None]
    total = jnp.zeros(target.shape[0])
    for x in made:
        total += jnp.mean(-jnp.sum(jnp.exp(target) * pixel_log_distribution(x, temperature), 1), -1)
    return jnp.mean(total) if valid is None else jnp.sum(total * valid) / jnp.maximum(jnp.sum(valid), 1.0)


def reference_nats(name: str, pixels: int, samples: int) -> float:
    """What counts as much information for an estimator: the divergence or bound that knowing nothing leaves.

    log 2 is the largest Jensen-Shannon divergence, log(pixels) the KL of a peak to a flat map, log(samples) what tells
    a sample from all others of the batch.
    """
    if ESTIMATORS[name].critic:
        return math.log(max(samples, 2))
    return math.log(2) if name == "vml_js" else math.log(pixels)


def term_scales(
    normalization: str,
    estimators: Mapping[str, str] | None,
    *,
    pixels: int,
    samples: int,
    layers: int,
    empty_loss: float,
) -> dict[str, float]:
    """What every term in nats, summed over the layers, is multiplied with.

    "pixels": 1 / pixels, the scale of a mean over pixels, as public code has it. The objective then starts at several
      times L_H, and how many depends on the estimators.
    "heatmap_loss": each term as a fraction of `reference_nats`, averaged over layers and over the three terms, times
      the heatmap loss of empty heatmaps. With any estimators α = 1 starts near an untrained L_H.

    Args:
      normalization: see above.
      estimators: as in `orthogonality_terms`.
      pixels: h · w.
      samples: B · K.
      layers: L.
      empty_loss: heatmap loss of predicting zero, e.g. from `empty_heatmap_loss`.

    Returns:
      Term -> factor, for all of TERMS; the predictors' fit has 1 / pixels always.

    Raises:
      InputError: an unknown normalisation.
    """
    if normalization not in NORMALIZATIONS:
        raise InputError(f"normalization={normalization!r} is unknown; use one of {', '.join(NORMALIZATIONS)}")
    chosen = resolve_estimators(estimators)
    scales = dict.fromkeys(TERMS, 1.0 / pixels)
    if normalization == "heatmap_loss":
        for term, name in chosen.items():
            scales[term] = empty_loss / (len(chosen) * layers * reference_nats(name, pixels, samples))
    return scales


def empty_heatmap_loss(sigma: float, pixels: int) -> float:
    """L_H of predicting zero everywhere: the mean over pixels of a squared Gaussian of σ pixels, π σ² / (h w)."""
    return math.pi * sigma**2 / pixels

"""TIPSD's L_info = γ_com L_com + γ_var L_var + γ_red L_red, each term by an estimator of choice.

A reconstruction. The supplement says what the terms are for: L_com raises the complementary information of the task,
L_var keeps the features of part groups diverse, L_red is without effect where L_com is absent. It gives no formula.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.objective import NORMALIZATIONS, reference_nats
from jmpose_jax.information.part_predictors import HINGE, PART_TERMS, PartPredictions
from jmpose_jax.information.pooling import pool, standardize, standardize_maps
from jmpose_jax.information.variational import pixel_log_distribution

TERMS = (*PART_TERMS, "predictor_fit")
TEACHERS = ("labels", "output", "groups")


def part_terms(
    parts: jax.Array,
    key: jax.Array,
    predictions: PartPredictions,
    target: jax.Array,
    output: jax.Array,
    weights: jax.Array,
    valid: jax.Array,
    *,
    teacher: str = "labels",
    temperature: float = 0.1,
    feature_temperature: float = 1.0,
) -> dict[str, jax.Array]:
    """The three terms of L_info in nats, all to be minimised, and the loss that fits their predictors.

    A map is read as a distribution over its pixels, s(map) = softmax(map / temperature).

    com, sufficient: Σ_g KL(s(y_g) ‖ s(q_g(f_g))), mean over the group's joints: I(y_g; f_g) rises as it falls (Barber
      and Agakov's bound without the constant entropy of y_g). Conditional: I(y_g; f_g | F_t) =
      KL(s(q(f_g, F_t)) ‖ s(q(F_t))), taken from log(pixels) and ending at 0, since a KL has no upper limit.
    var: mean over pairs of groups of log 2 - JS(s(f_g) ‖ s(f_g')), channel by channel: 0 where the groups look at
      different places. "hinge" is the mean over pixels of 1 - the deviation between groups, not below 0.
    red: Σ_g log 2 - JS(s(f_g) ‖ s(F_t)), channel by channel; or an estimate of I(f_g; F_t) on features pooled over y_g.
    predictor_fit: the cross-entropies of all q to y, and the losses of the critics.

    Gradients of the first three reach the features f_g only (with the teacher "groups" those of com reach the output),
    of the last the predictors only; F_t, which teaches, gets none.

    Args:
      parts: f_g, float32 [G, B, h, w, C].
      key: F_t, float32 [B, h, w, C].
      predictions: of the same features.
      target: labels as heatmaps, float32 [B, h, w, K].
      output: the network's last heatmaps, float32 [B, h, w, K].
      weights: float32 [B, K], 1 where a joint is labelled.
      valid: float32 [B], 0 for the padding of a batch.
      teacher: what y_g is: "labels"; "output", the network's own heatmaps, which teach the groups; or "groups": q_g,
        fitted to the labels, teaches the output.
      temperature: of the heatmaps and predictions.
      feature_temperature: of the features.

    Returns:
      {term: float32 scalar, nats} for the names in TERMS.

    Raises:
      InputError: an unknown teacher, or one that the conditional form does not have.
    """
    if teacher not in TEACHERS:
        raise InputError(f"loss.teacher={teacher!r}: choose one of {', '.join(TEACHERS)}")
    conditional = predictions.complementary == "conditional"
    if conditional and teacher == "groups":
        raise InputError("loss.teacher='groups' goes with predictors.complementary='sufficient'")
    stop, chosen, pixels = jax.lax.stop_gradient, dict(predictions.estimators), target.shape[1] * target.shape[2]
    y = stop(output if teacher == "output" else target)
    key = stop(key)
    if predictions.features == "standardized":
        parts, key = jax.vmap(standardize_maps)(parts), standardize_maps(key)

    def rows(maps: jax.Array) -> jax.Array:
        """[B, h, w, n] to [B * n, pixels]."""
        return jnp.moveaxis(maps, -1, 1).reshape(-1, pixels)

    def divergence(name: str, x: jax.Array, z: jax.Array, w: jax.Array, heat: float, freeze: bool = True) -> jax.Array:
        options = {"freeze": freeze} if name == "vsd" else {}  # the others let the gradient through to both
        return ESTIMATORS[name].function(rows(x), rows(z), weights=w, temperature=heat, **options).bound

    def overlap(x: jax.Array, z: jax.Array, name: str) -> jax.Array:
        """What two features have in common, channel by channel: nats below the largest divergence."""
        each = jnp.repeat(valid, x.shape[-1])
        reference = reference_nats(name, pixels, 1)
        return jnp.maximum(reference - divergence(name, x, z, each, feature_temperature), 0.0)

    com = red = fit = jnp.zeros(())
    for g, (group, start) in enumerate(zip(predictions.groups, _starts(predictions.groups))):
        mine, joints = slice(start, start + len(group)), np.array(group)
        each = (weights[:, joints] * valid[:, None]).reshape(-1)
        labels = y[..., joints]
        group_logits = predictions.terms.group[..., mine]
        if conditional:
            both, alone = predictions.terms.both[..., mine], predictions.terms.key[..., mine]
            gained = divergence(chosen["com"], both, alone, each, temperature, freeze=False)
            com += jnp.maximum(reference_nats(chosen["com"], pixels, 1) - gained, 0.0)
        elif teacher == "groups":
            com += divergence(chosen["com"], stop(group_logits), output[..., joints], each, temperature)
        else:
            com += divergence(chosen["com"], labels, group_logits, each, temperature)
        for logits in (predictions.fit.group, predictions.fit.key, predictions.fit.both):
            if logits is not None:
                fit += _cross_entropy(rows(labels), rows(logits[..., mine]), each, temperature)
        if ESTIMATORS[chosen["red"]].critic:
            where = pixel_log_distribution(labels, temperature)
            seen = (standardize(pool(x, where), each) for x in (parts[g], key))
            found = ESTIMATORS[chosen["red"]].function(*seen, predictions.critics[g], weights=each)
            red, fit = red + found.bound, fit + found.fit
        else:
            red += overlap(parts[g], key, chosen["red"])

    pairs = list(itertools.combinations(range(len(predictions.groups)), 2))
    var = jnp.zeros(())
    if chosen["var"] == HINGE:
        spread = jnp.maximum(1 - jnp.sqrt(jnp.var(parts, 0) + 1e-6), 0.0)
        var = jnp.sum(jnp.mean(spread, (1, 2, 3)) * valid) / jnp.maximum(jnp.sum(valid), 1.0)
    elif pairs:
        var = sum(overlap(parts[a], parts[b], chosen["var"]) for a, b in pairs) / len(pairs)
    return {"com": com, "var": var, "red": red, "predictor_fit": fit}


def _starts(groups: tuple[tuple[int, ...], ...]) -> list[int]:
    """Where each group's joints begin among those of all groups."""
    return [0, *itertools.accumulate(len(group) for group in groups)][:-1]


def _cross_entropy(labels: jax.Array, logits: jax.Array, weights: jax.Array, temperature: float) -> jax.Array:
    """Cross-entropy of predictions to labels, both [N, pixels], mean by weights."""
    p, log_q = jax.nn.softmax(labels / temperature), jax.nn.log_softmax(logits / temperature)
    return jnp.sum(-jnp.sum(p * log_q, -1) * weights) / jnp.maximum(jnp.sum(weights), 1.0)


def part_term_scales(
    normalization: str, predictions: PartPredictions, *, pixels: int, samples: int, empty_loss: float
) -> dict[str, float]:
    """What every term in nats is multiplied with; see `objective.term_scales`.

    "heatmap_loss" counts each term as a share of what knowing nothing leaves, averaged over groups and over the three
    terms, times the heatmap loss of empty heatmaps: γ_info = γ_com = γ_var = γ_red = 1 starts near an untrained L_H.

    Args:
      normalization: "pixels" or "heatmap_loss".
      predictions: say estimators and groups.
      pixels: h · w.
      samples: clips times joints of a group, for estimators on samples.
      empty_loss: heatmap loss of predicting zero.

    Returns:
      Term -> factor, for all of TERMS; the predictors' fit has 1 / pixels always.

    Raises:
      InputError: an unknown normalisation.
    """
    if normalization not in NORMALIZATIONS:
        raise InputError(f"loss.normalization={normalization!r} is unknown; use one of {', '.join(NORMALIZATIONS)}")
    scales = dict.fromkeys(TERMS, 1.0 / pixels)
    if normalization == "heatmap_loss":
        for term, name in predictions.estimators:
            nats = 1.0 if name == HINGE else reference_nats(name, pixels, samples)
            summed = 1 if term == "var" else len(predictions.groups)
            scales[term] = empty_loss / (len(PART_TERMS) * summed * nats)
    return scales

"""Estimators of mutual information behind one signature: `name(x, y, critic=None, *, …) -> Estimate(bound, fit)`.

`bound` is the estimate in nats; its gradient reaches x and y, never the critic. `fit` is what the critic minimises; its
gradient reaches the critic, never x and y. One backward pass through their sum therefore trains both, each on its own
objective. Estimators on logits (the variational self-distillation family) have no critic and a fit of 0.

Sample estimators compare a pair (x_i, y_i) with pairs of strangers (x_j, y_i); a sample of weight 0 is in neither.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.information import variational
from jmpose_jax.information.critics import Critic, gaussian, init_critic, matched_scores, pair_scores
from jmpose_jax.information.variational import js, kl, log_distribution

stop = jax.lax.stop_gradient


class Estimate(NamedTuple):
    """What every estimator returns, float32 scalars.

    Attributes:
      bound: the estimate, nats.
      fit: the critic's loss.
    """

    bound: jax.Array
    fit: jax.Array


def _mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean over the leading axis by weights, then over what else there is."""
    values = values.reshape(values.shape[0], -1).mean(1) if values.ndim > 1 else jnp.atleast_1d(values)
    return jnp.mean(values) if weights is None else jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1e-12)


def _no_fit(value: jax.Array) -> Estimate:
    return Estimate(value, jnp.zeros(()))


# --- on logits -------------------------------------------------------------------------------------------------------


def vsd(x, y, critic=None, *, weights=None, partner=None, temperature=1.0, axis=-1, freeze=True) -> Estimate:
    """Variational self-distillation: E[KL(p(label|x) ‖ p(label|y))].

    Bound: none; it equals I(v; label | z) where x and y are the exact logits of the label from v and from z. Minimising
    it makes z keep what v knows of the label. Source: Tian et al., CVPR 2021; Eq. 13 of JM-Pose estimates with it.

    Args:
      x: logits of the label from the observation v, float32 [N, …]; no gradient passes unless `freeze` is False.
      y: logits of the label from the representation z, same shape.
      critic, partner: not used.
      weights: float32 [N] or None.
      temperature: divides both.
      axis: the axis of the label.
      freeze: keep gradients from x.
    """
    x = stop(x) if freeze else x
    value = kl(log_distribution(x, temperature, axis), log_distribution(y, temperature, axis), axis)
    return _no_fit(_mean(value, weights))


def vcd(x, y, critic=None, *, weights=None, partner=None, temperature=1.0, axis=-1, freeze=True) -> Estimate:
    """Variational cross-distillation between two views: ½ E[KL(p(·|x₂) ‖ p(·|y₁))] + ½ E[KL(p(·|x₁) ‖ p(·|y₂))].

    Bound: none. Source: Tian et al., CVPR 2021.

    Args: as `vsd`, x and y being pairs of logits, one a view: tuples, or arrays [2, N, …].
    """
    options = dict(weights=weights, temperature=temperature, axis=axis, freeze=freeze)
    return _no_fit(0.5 * (vsd(x[1], y[0], **options).bound + vsd(x[0], y[1], **options).bound))


def vml_js(x, y, critic=None, *, weights=None, partner=None, temperature=1.0, axis=-1) -> Estimate:
    """Variational mutual learning, Jensen-Shannon form: E[JS(p(·|x) ‖ p(·|y))], between 0 and log 2.

    Bound: none. Source: Tian et al., CVPR 2021. Gradient to both.

    Args: as `vsd`.
    """
    value = js(log_distribution(x, temperature, axis), log_distribution(y, temperature, axis), axis)
    return _no_fit(_mean(value, weights))


def vml_kl(x, y, critic=None, *, weights=None, partner=None, temperature=1.0, axis=-1) -> Estimate:
    """Variational mutual learning, KL form: ½ E[KL(p(·|x) ‖ p(·|y)) + KL(p(·|y) ‖ p(·|x))].

    Bound: none. Source: the form of deep mutual learning (Zhang et al., CVPR 2018). Gradient to both.

    Args: as `vsd`.
    """
    p, q = (log_distribution(z, temperature, axis) for z in (x, y))
    return _no_fit(_mean(0.5 * (kl(p, q, axis) + kl(q, p, axis)), weights))


def vsd_public(x, y, critic=None, *, weights=None, partner=None, temperature=1.0, axis=-1, freeze=True) -> Estimate:
    """What public code computes under the name of VSD: mean[q log q - q p], p = softmax(x), q = softmax(y).

    Bound: none; on peaked maps it is about -entropy(q) / n and hardly depends on x. For comparison with published runs
    only. Source: the code of the self-distillation and video pose papers, bit-compatible.

    Args: as `vsd`; without weights any shape.
    """
    if weights is None:
        options = dict(temperature=temperature, axis=axis, freeze_observation=freeze)
        return _no_fit(variational.vsd_public(x, y, **options))
    log_p = log_distribution(stop(x) if freeze else x, temperature, axis)
    log_q = log_distribution(y, temperature, axis)
    return _no_fit(_mean(jnp.exp(log_q) * (log_q - jnp.exp(log_p)), weights))


# --- on samples ------------------------------------------------------------------------------------------------------


def club(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Contrastive log-ratio upper bound: E_i[log q(y_i|x_i)] - E_i E_j[log q(y_j|x_i)], q(y|x) Gaussian.

    Bound: upper, where q is the true conditional or nearer to it than to the product of the marginals. Source: Cheng et
    al., ICML 2020. Fit: minus twice the log likelihood of q without its constant.

    Args:
      x: float32 [N, dx].
      y: float32 [N, dy].
      critic: of kind "gaussian", from `init_critic` or `fitting.fit_critic`.
      weights: float32 [N] or None.
      partner: not used.
    """

    _check("club", critic)

    def bound(critic, x, y):
        mean, log_variance = gaussian(critic, x)
        precision = jnp.exp(-log_variance)
        matched = -0.5 * jnp.square(mean - y)
        # Over all j, the mean of (y_j - μ)² is (mean of y - μ)² plus the variance of y: no pairs are formed.
        center = _weighted_rows(y, weights)
        spread = _weighted_rows(jnp.square(y - center), weights)
        strangers = -0.5 * (jnp.square(center - mean) + spread)
        return _mean(jnp.sum((matched - strangers) * precision, -1), weights)

    return Estimate(bound(stop(critic), x, y), _gaussian_fit(critic, stop(x), stop(y), weights))


def vclub_s(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Sampled CLUB: E_i[log q(y_i|x_i) - log q(y_π(i)|x_i)], one stranger a sample.

    Bound: upper, as `club`, with more variance. Source: Cheng et al., ICML 2020 (vCLUB-S).

    Args: as `club`; `partner` int32 [N] is π, by default a fixed permutation.
    """

    _check("vclub_s", critic)

    def bound(critic, x, y):
        pairing = _partner(partner, x.shape[0])
        mean, log_variance = gaussian(critic, x)
        difference = jnp.square(mean - y[pairing]) - jnp.square(mean - y)
        both = None if weights is None else weights * weights[pairing]
        return _mean(0.5 * jnp.sum(difference * jnp.exp(-log_variance), -1), both)

    return Estimate(bound(stop(critic), x, y), _gaussian_fit(critic, stop(x), stop(y), weights))


def l1out(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Leave-one-out bound: E_i[log q(y_i|x_i) - log mean_{j≠i} q(y_i|x_j)], q(y|x) Gaussian.

    Bound: upper, where q is the true conditional. Source: Poole et al., ICML 2019. (The diagonal mask of CLUB's public
    code has a wrong shape and makes it return the CLUB value; this is the formula.)

    Args: as `club`.
    """

    _check("l1out", critic)

    def bound(critic, x, y):
        mean, log_variance = gaussian(critic, x)
        squared = jnp.square(y[:, None] - mean[None]) * jnp.exp(-log_variance)
        likelihood = -0.5 * jnp.sum(squared + log_variance, -1)  # [i of y, j of x]
        count = x.shape[0]
        others = ~jnp.eye(count, dtype=bool)
        if weights is not None:
            others &= (weights > 0)[None]
        strangers = jax.nn.logsumexp(jnp.where(others, likelihood, -jnp.inf), 1) - jnp.log(jnp.sum(others, 1))
        return _mean(jnp.diagonal(likelihood) - strangers, weights)

    return Estimate(bound(stop(critic), x, y), _gaussian_fit(critic, stop(x), stop(y), weights))


def infonce(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Noise-contrastive estimate: E_i[f(x_i, y_i) - log mean_j exp f(x_j, y_i)], f the softplus of the critic's score.

    Bound: lower, never above log N. Source: van den Oord et al., 2018; the softplus is that of CLUB's public code.

    Args: as `club`, the critic of kind "pair".
    """

    _check("infonce", critic)

    def bound(critic, x, y):
        strangers = _log_mean_exp(jax.nn.softplus(pair_scores(critic, x, y)), weights)
        return _mean(jax.nn.softplus(matched_scores(critic, x, y)) - strangers, weights)

    return _lower(bound, x, y, critic)


def nwj(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Nguyen, Wainwright and Jordan's bound: E_i[f(x_i, y_i)] - E_i[mean_j exp(f(x_j, y_i) - 1)].

    Bound: lower. Source: Nguyen et al., IEEE Trans. Inf. Theory 2010; also known as f-GAN KL and MINE-f.

    Args: as `infonce`.
    """

    _check("nwj", critic)

    def bound(critic, x, y):
        strangers = jnp.exp(_log_mean_exp(pair_scores(critic, x, y) - 1.0, weights))
        return _mean(matched_scores(critic, x, y) - strangers, weights)

    return _lower(bound, x, y, critic)


def mine(x, y, critic=None, *, weights=None, partner=None) -> Estimate:
    """Donsker and Varadhan's bound: E_i[f(x_i, y_i)] - log E_i[exp f(x_i, y_π(i))], one stranger a sample.

    Bound: lower for a fixed f over infinitely many samples; over a batch the logarithm makes it slightly too high.
    Source: Belghazi et al., ICML 2018 (MINE), without its moving average.

    Args: as `infonce`; `partner` int32 [N] is π, by default a fixed permutation.
    """

    _check("mine", critic)

    def bound(critic, x, y):
        pairing = _partner(partner, x.shape[0])
        scores = matched_scores(critic, x, y[pairing])
        both = None if weights is None else weights * weights[pairing]
        return _mean(matched_scores(critic, x, y), weights) - _log_mean_exp(scores[None], both)[0]

    return _lower(bound, x, y, critic)


def _check(name: str, critic: Critic | None) -> None:
    if critic is None:
        kind = ESTIMATORS[name].critic
        raise InputError(
            f"{name} needs a critic: information.fitting.fit_critic({name!r}, x, y) fits one, "
            f"information.critics.init_critic({kind!r}, key, x.shape[1], y.shape[1]) draws a fresh one"
        )


def _lower(bound: Callable[..., jax.Array], x: jax.Array, y: jax.Array, critic: Critic) -> Estimate:
    """A lower bound is fitted by raising it."""
    return Estimate(bound(stop(critic), x, y), -bound(critic, stop(x), stop(y)))


def _gaussian_fit(critic: Critic, x: jax.Array, y: jax.Array, weights: jax.Array | None) -> jax.Array:
    mean, log_variance = gaussian(critic, x)
    return _mean(jnp.sum(jnp.square(mean - y) * jnp.exp(-log_variance) + log_variance, -1), weights)


def _weighted_rows(y: jax.Array, weights: jax.Array | None) -> jax.Array:
    if weights is None:
        return jnp.mean(y, 0)
    return jnp.sum(y * weights[:, None], 0) / jnp.maximum(jnp.sum(weights), 1e-12)


def _log_mean_exp(scores: jax.Array, weights: jax.Array | None) -> jax.Array:
    """log of the mean of exp(scores) over the columns, those of weight 0 left out."""
    if weights is None:
        return jax.nn.logsumexp(scores, -1) - jnp.log(scores.shape[-1])
    return jax.nn.logsumexp(scores, -1, b=weights) - jnp.log(jnp.maximum(jnp.sum(weights), 1e-12))


def _partner(partner: jax.Array | None, count: int) -> jax.Array:
    return np.random.default_rng(0).permutation(count) if partner is None else partner


# --- by name ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Kind:
    """What there is to know of an estimator.

    Attributes:
      function: the estimator.
      bound: "upper", "lower" or "none".
      critic: "gaussian", "pair" or "" (it reads logits and needs none).
    """

    function: Callable[..., Estimate]
    bound: str
    critic: str = ""


ESTIMATORS = {
    "vsd": Kind(vsd, "none"),
    "vcd": Kind(vcd, "none"),
    "vml_js": Kind(vml_js, "none"),
    "vml_kl": Kind(vml_kl, "none"),
    "vsd_public": Kind(vsd_public, "none"),
    "club": Kind(club, "upper", "gaussian"),
    "vclub_s": Kind(vclub_s, "upper", "gaussian"),
    "l1out": Kind(l1out, "upper", "gaussian"),
    "infonce": Kind(infonce, "lower", "pair"),
    "mine": Kind(mine, "lower", "pair"),
    "nwj": Kind(nwj, "lower", "pair"),
}


def get_estimator(name: str) -> Kind:
    """The estimator of a name.

    Raises:
      InputError: there is none.
    """
    if name not in ESTIMATORS:
        raise InputError(f"estimator {name!r} is unknown; use one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]


__all__ = ["ESTIMATORS", "Estimate", "Kind", "get_estimator", "init_critic", *ESTIMATORS]

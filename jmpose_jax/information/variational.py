"""Variational information terms (Tian et al., CVPR 2021, "Farewell to Mutual Information"), sign-correct, and the form
in which public pose code computes them."""

import jax
import jax.numpy as jnp

LOG2 = 0.6931471805599453


def log_distribution(logits: jax.Array, temperature: float = 1.0, axis: int = -1) -> jax.Array:
    """log softmax(logits / temperature) along an axis, float32."""
    return jax.nn.log_softmax(logits.astype(jnp.float32) / temperature, axis)


def pixel_log_distribution(maps: jax.Array, temperature: float = 1.0) -> jax.Array:
    """Each map as a log distribution over its pixels: [..., h, w, K] to [..., h * w, K]."""
    flat = maps.reshape(*maps.shape[:-3], maps.shape[-3] * maps.shape[-2], maps.shape[-1])
    return log_distribution(flat, temperature, -2)


def kl(log_p: jax.Array, log_q: jax.Array, axis: int = -1) -> jax.Array:
    """KL(p ‖ q) in nats along an axis, from log probabilities."""
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis)


def js(log_p: jax.Array, log_q: jax.Array, axis: int = -1) -> jax.Array:
    """Jensen-Shannon divergence in nats along an axis, from log probabilities; between 0 and log 2."""
    middle = jnp.logaddexp(log_p, log_q) - LOG2
    return 0.5 * (kl(log_p, middle, axis) + kl(log_q, middle, axis))


def vsd(observation: jax.Array, representation: jax.Array, *, temperature: float = 1.0, axis: int = -1) -> jax.Array:
    """Variational self-distillation: KL(p(y|v) ‖ p(y|z)), which is I(v; y | z) where both predictors are exact.

    Minimising it makes the representation z keep what the observation v knows about y.

    Args:
      observation: logits of y from v; no gradient passes.
      representation: logits of y from z, same shape.
      temperature: divides both.
      axis: the axis of y.

    Returns:
      float32, the shape without `axis`, nats.
    """
    p = log_distribution(jax.lax.stop_gradient(observation), temperature, axis)
    return kl(p, log_distribution(representation, temperature, axis), axis)


def vcd(
    observations: tuple[jax.Array, jax.Array],
    representations: tuple[jax.Array, jax.Array],
    *,
    temperature: float = 1.0,
    axis: int = -1,
) -> jax.Array:
    """Variational cross-distillation between two views: ½ KL(p(y|v₂) ‖ p(y|z₁)) + ½ KL(p(y|v₁) ‖ p(y|z₂)).

    Args:
      observations: logits of y from v₁ and v₂; no gradient passes.
      representations: logits of y from z₁ and z₂.
      temperature: divides all.
      axis: the axis of y.

    Returns:
      float32, the shape without `axis`, nats.
    """
    options = dict(temperature=temperature, axis=axis)
    crossed = vsd(observations[1], representations[0], **options), vsd(observations[0], representations[1], **options)
    return 0.5 * (crossed[0] + crossed[1])


def vml(first: jax.Array, second: jax.Array, *, temperature: float = 1.0, axis: int = -1) -> jax.Array:
    """Variational mutual learning: JS(p(y|z₁) ‖ p(y|z₂)), float32, the shape without `axis`, nats; gradient to both."""
    return js(log_distribution(first, temperature, axis), log_distribution(second, temperature, axis), axis)


def vsd_public(
    observation: jax.Array,
    representation: jax.Array,
    *,
    temperature: float = 1.0,
    axis: int = -1,
    freeze_observation: bool = True,
) -> jax.Array:
    """What public code computes under the name of VSD, for comparison with published runs only.

    PyTorch's kl_div expects log probabilities and is handed probabilities, so that the value is the mean over all
    elements of q log q - q p with p from the observation and q from the representation. It hardly depends on p: on
    peaked heatmaps it is an entropy of q, and does not say whether the two agree.

    Args:
      observation: logits that become p.
      representation: logits that become q.
      temperature: divides both (the pose papers use 0.05 over the pixels of a map).
      axis: the axis of the softmax.
      freeze_observation: pass no gradient to the observation.

    Returns:
      float32 scalar.
    """
    if freeze_observation:
        observation = jax.lax.stop_gradient(observation)
    p = jnp.exp(log_distribution(observation, temperature, axis))
    log_q = log_distribution(representation, temperature, axis)
    q = jnp.exp(log_q)
    return jnp.mean(q * log_q - q * p)

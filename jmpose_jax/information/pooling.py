"""From maps to one vector a clip and joint: what estimators on samples read."""

import jax
import jax.numpy as jnp

HIGHEST = jax.lax.Precision.HIGHEST


def pool(features: jax.Array, log_heatmaps: jax.Array) -> jax.Array:
    """Features where a joint is believed to be: Σ_p P_H(p) F(p).

    Args:
      features: float32 [B, h, w, C].
      log_heatmaps: log P_H, float32 [B, h * w, K].

    Returns:
      float32 [B * K, C], clips outermost.
    """
    flat = features.reshape(features.shape[0], -1, features.shape[-1])
    pooled = jnp.einsum("bpk,bpc->bkc", jnp.exp(log_heatmaps), flat, precision=HIGHEST)
    return pooled.reshape(-1, features.shape[-1])


def describe_maps(heatmaps: jax.Array, log_heatmaps: jax.Array) -> jax.Array:
    """A joint's heatmap in K + 2 numbers: all heatmaps at its place, and the place itself, from -1 to 1.

    Args:
      heatmaps: float32 [B, h, w, K].
      log_heatmaps: log P_H, float32 [B, h * w, K].

    Returns:
      float32 [B * K, K + 2].
    """
    batch, height, width, _ = heatmaps.shape
    y, x = jnp.meshgrid(jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij")
    places = jnp.broadcast_to(jnp.stack([x, y], -1), (batch, height, width, 2))
    return pool(jnp.concatenate([heatmaps, places], -1), log_heatmaps)


def standardize_maps(features: jax.Array) -> jax.Array:
    """Every channel of every clip with mean 0 and variance 1 over its pixels.

    It changes no mutual information, and takes the scale of the features out of what divergences of softmaxes see: else
    shrinking the features is the cheapest way to make any two of them agree.

    Args:
      features: float32 [B, h, w, C].

    Returns:
      float32, the same shape; 0 where a channel is constant.
    """
    centred = features - jnp.mean(features, (1, 2), keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), (1, 2), keepdims=True) + 1e-8)


def standardize(samples: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """Every column with mean 0 and variance 1, which changes no mutual information; critics expect that scale.

    Args:
      samples: float32 [N, d].
      weights: float32 [N] or None; the samples that make the statistics.
    """
    w = jnp.ones(samples.shape[0]) if weights is None else weights
    w = (w / jnp.maximum(jnp.sum(w), 1e-12))[:, None]
    mean = jnp.sum(w * samples, 0)
    variance = jnp.sum(w * jnp.square(samples - mean), 0)
    return (samples - mean) * jax.lax.rsqrt(variance + 1e-6)

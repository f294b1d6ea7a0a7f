"""The heatmap loss L_H (Eq. 15)."""

import jax
import jax.numpy as jnp


def heatmap_loss(
    heatmaps: jax.Array, targets: jax.Array, weights: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared error between heatmaps, joint by joint: (1/K) Σ_k mean over clips and pixels of (w p - w g)².

    The mean runs over all joints, those of weight 0 included, as in the lineage (which leaves HRNet's factor ½ out).

    Args:
      heatmaps: p, float32 [B, h, w, K].
      targets: g, float32 [B, h, w, K].
      weights: w, float32 [B, K].
      valid: float32 [B], 0 for the padding of a batch.

    Returns:
      (sum, count): float32 scalars; the loss is sum / count.
    """
    _, height, width, joints = heatmaps.shape
    error = jnp.sum(jnp.square(heatmaps - targets), (1, 2)) * jnp.square(weights)
    total = jnp.sum(error * valid[:, None])
    return total, jnp.sum(valid) * (height * width * joints)

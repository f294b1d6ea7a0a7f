"""Bilinear moves of whole maps, and the motion that a map sees, as matrix products without gathers."""

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError

HIGHEST = jax.lax.Precision.HIGHEST


def hat_matrix(shift: jax.Array, length: int) -> jax.Array:
    """The matrix that moves a row of pixels by a fraction of a pixel, linear between them, zeros flowing in.

    Args:
      shift: float32 [...], pixels towards larger indices.
      length: pixels n.

    Returns:
      float32 [..., n, n]; `moved = matrix @ row`.
    """
    pixel = jnp.arange(length, dtype=jnp.float32)
    distance = pixel[:, None] - pixel[None, :] - shift[..., None, None]
    return jnp.maximum(1.0 - jnp.abs(distance), 0.0)


def translate(maps: jax.Array, shift: jax.Array) -> jax.Array:
    """Moves every map as a whole, bilinearly: what lay at p lies at p + shift; zeros flow in.

    Translations are separable, so two small matrix products per map do what a gather would.

    Args:
      maps: float32 [..., h, w, K].
      shift: float32 [..., K, 2], (x, y) in pixels of the maps.

    Returns:
      [..., h, w, K].
    """
    height, width = maps.shape[-3:-1]
    rows, columns = hat_matrix(shift[..., 1], height), hat_matrix(shift[..., 0], width)
    moved = jnp.einsum("...kij,...jwk->...kiw", rows, maps, precision=HIGHEST)
    return jnp.einsum("...kiw,...klw->...ilk", moved, columns, precision=HIGHEST)


def peak_mean(maps: jax.Array, values: jax.Array, power: float = 4.0) -> jax.Array:
    """The mean of a vector field where each map peaks, weighted by (map / its maximum)^power.

    The power sharpens the weights without a temperature to choose: a low peak selects as narrowly as a high one.

    Args:
      maps: float32 [..., h, w, K]; negative values count as zero.
      values: float32 [..., h, w, D].
      power: sharpness of the weights.

    Returns:
      float32 [..., K, D], zero for a map without a positive value.
    """
    positive = jnp.maximum(maps, 0.0)
    top = jnp.max(positive, (-3, -2), keepdims=True)
    weights = (positive / jnp.where(top > 0, top, 1.0)) ** power
    total = jnp.sum(weights, (-3, -2))
    mean = jnp.einsum("...hwk,...hwd->...kd", weights, values, precision=HIGHEST)
    return mean / jnp.where(total > 0, total, 1.0)[..., None]


def flow_on_heatmap_grid(flow: jax.Array, heatmap_size: tuple[int, int]) -> jax.Array:
    """A flow field averaged over the cells of the heatmap's grid; vectors keep their unit.

    Args:
      flow: float32 [..., H/s, W/s, 2].
      heatmap_size: (h, w), which must divide the flow's height and width.

    Returns:
      float32 [..., h, w, 2].

    Raises:
      InputError: the sizes do not divide.
    """
    height, width = flow.shape[-3:-1]
    h, w = heatmap_size
    if height % h or width % w or height // h != width // w:
        raise InputError(f"flow of {height} x {width} pixels does not divide into the {h} x {w} cells of the heatmaps")
    factor = height // h
    if factor == 1:
        return flow
    cells = flow.reshape(*flow.shape[:-3], h, factor, w, factor, flow.shape[-1])
    return jnp.mean(cells, (-4, -2))

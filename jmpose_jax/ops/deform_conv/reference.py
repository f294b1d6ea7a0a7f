"""Deformable convolution in plain XLA: exact, differentiable, on every platform; what the kernels are checked with."""

import jax
import jax.numpy as jnp

from jmpose_jax.ops.deform_conv.geometry import Geometry


def sample_positions(offset: jax.Array, g: Geometry) -> tuple[jax.Array, jax.Array]:
    """Returns float32 (y, x) of every sample, each [B, Ho, Wo, G, taps], in pixels of the input."""
    offset = offset.astype(jnp.float32)
    tap_y, tap_x = jnp.meshgrid(jnp.arange(g.kernel_height), jnp.arange(g.kernel_width), indexing="ij")
    row = jnp.arange(g.out_height) * g.stride[0] - g.padding[0]
    column = jnp.arange(g.out_width) * g.stride[1] - g.padding[1]
    y = row[:, None, None, None] + (tap_y.reshape(-1) * g.dilation[0])
    x = column[:, None, None] + (tap_x.reshape(-1) * g.dilation[1])
    return y + offset[..., 0], x + offset[..., 1]


def _split(position: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Returns int32 index (in the padded table) and fraction of the lower corner along one axis.

    Positions whose two corners are both outside are sent to `size`, where the table holds zeros, with a constant
    fraction: value and gradient are zero there. Position -1 itself stays, for its gradient towards row 0 counts.
    """
    inside = (position >= -1) & (position <= size)
    position = jnp.where(inside, position, float(size))
    lower = jnp.floor(position)
    return lower.astype(jnp.int32) + 1, position - lower


def sample(x: jax.Array, y_position: jax.Array, x_position: jax.Array) -> jax.Array:
    """Bilinear samples with zeros outside.

    The four corners are gathered one after the other into a running sum: XLA fuses each gather with its product, which
    on CPU is twice as fast as one gather of all four (24 against 55-75 ms at 16 x 32 x 24 x 16, G = 4).

    Args:
      x: [B, H, W, G, C / G].
      y_position, x_position: float32 [B, ..., G], pixels.

    Returns:
      [B, ..., G, C / G] in the dtype of x.
    """
    batch, height, width, groups, size = x.shape
    rows, columns = height + 3, width + 3
    table = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0), (0, 0))).reshape(batch * rows * columns * groups, size)
    y0, fy = _split(y_position, height)
    x0, fx = _split(x_position, width)
    image = jnp.arange(batch).reshape(batch, *[1] * (y0.ndim - 1))
    index = ((image * rows + y0) * columns + x0) * groups + jnp.arange(groups)
    out = jnp.zeros((*index.shape, size), x.dtype)
    for i, wy in enumerate((1 - fy, fy)):
        for j, wx in enumerate((1 - fx, fx)):
            corner = table.at[index + (i * columns + j) * groups].get(mode="promise_in_bounds")
            out = out + corner * (wy * wx)[..., None].astype(x.dtype)
    return out


def modulated_deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array | None, kernel: jax.Array, g: Geometry
) -> jax.Array:
    """Samples, modulates and convolves; arguments as in the public function.

    Returns:
      float32 [B, Ho, Wo, O], without the bias.
    """
    # Taps before groups from the start: then (taps, G, C / G) of the samples already is (taps, C) of the convolution.
    y, x_ = (jnp.swapaxes(p, 3, 4) for p in sample_positions(offset, g))
    samples = sample(x.reshape(*x.shape[:3], g.offset_groups, g.channels // g.offset_groups), y, x_)
    if mask is not None:
        samples = samples * jnp.swapaxes(mask, 3, 4)[..., None].astype(x.dtype)
    columns = samples.reshape(*samples.shape[:4], g.groups, g.channels // g.groups)
    weights = kernel.reshape(g.taps, g.channels // g.groups, g.groups, g.out_channels // g.groups)
    out = jnp.einsum("bhwkgc,kcgo->bhwgo", columns, weights, preferred_element_type=jnp.float32)
    return out.reshape(g.batch, g.out_height, g.out_width, g.out_channels)

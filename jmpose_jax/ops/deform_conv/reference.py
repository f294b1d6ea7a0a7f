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


def sample(x: jax.Array, y_position: jax.Array, x_position: jax.Array, offset_groups: int) -> jax.Array:
    """Bilinear samples with zeros outside.

    The four corners of a cell lie side by side in one table, so that a sample is a single gather of 4 C / G
    contiguous numbers.

    Args:
      x: [B, H, W, C].
      y_position, x_position: float32 [B, Ho, Wo, G, taps], pixels.
      offset_groups: G.

    Returns:
      [B, Ho, Wo, G, taps, C / G] in the dtype of x.
    """
    batch, height, width, channels = x.shape
    size = channels // offset_groups
    padded = jnp.pad(x, ((0, 0), (1, 3), (1, 3), (0, 0))).reshape(batch, height + 4, width + 4, offset_groups, size)
    rows, columns = height + 3, width + 3
    corners = [padded[:, i : i + rows, j : j + columns] for i in (0, 1) for j in (0, 1)]
    table = jnp.concatenate(corners, -1).reshape(batch * rows * columns * offset_groups, 4 * size)
    y0, fy = _split(y_position, height)
    x0, fx = _split(x_position, width)
    image = jnp.arange(batch)[:, None, None, None, None]
    group = jnp.arange(offset_groups)[:, None]
    index = ((image * rows + y0) * columns + x0) * offset_groups + group
    cell = table.at[index].get(mode="promise_in_bounds").reshape(*index.shape, 4, size)
    weight = jnp.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx], -1)
    return jnp.sum(cell * weight[..., None].astype(x.dtype), -2)


def modulated_deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array | None, kernel: jax.Array, g: Geometry
) -> jax.Array:
    """Samples, modulates and convolves; arguments as in the public function.

    Returns:
      float32 [B, Ho, Wo, O], without the bias.
    """
    samples = sample(x, *sample_positions(offset, g), g.offset_groups)
    if mask is not None:
        samples = samples * mask[..., None].astype(x.dtype)
    # [B,Ho,Wo,G,taps,C/G] -> [..,taps,groups,C/groups]: both splits of the channels are contiguous runs.
    columns = jnp.moveaxis(samples, 3, 4)
    columns = columns.reshape(*columns.shape[:4], g.groups, g.channels // g.groups)
    weights = kernel.reshape(g.taps, g.channels // g.groups, g.groups, g.out_channels // g.groups)
    out = jnp.einsum("bhwkgc,kcgo->bhwgo", columns, weights, preferred_element_type=jnp.float32)
    return out.reshape(g.batch, g.out_height, g.out_width, g.out_channels)

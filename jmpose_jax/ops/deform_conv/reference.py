"""Deformable convolution in plain XLA: exact, differentiable, on every platform; what the kernels are checked with."""

import math
from typing import NamedTuple

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


class _Cells(NamedTuple):
    """Where samples fall in a zero-bordered image laid out as rows of C / G numbers.

    Attributes:
      index: int32 [N], the row of the upper left corner.
      fy, fx: float32 [N], fractions of a pixel from it.
      corners: the distances, in rows, of the four corners from it: upper left, upper right, lower left, lower right.
      border_shape: [B, H + 3, W + 3, G, C / G].
    """

    index: jax.Array
    fy: jax.Array
    fx: jax.Array
    corners: tuple[int, int, int, int]
    border_shape: tuple[int, ...]

    @property
    def weights(self) -> tuple[jax.Array, ...]:
        """The bilinear weights of the corners, float32 [N, 1] each."""
        fy, fx = self.fy[:, None], self.fx[:, None]
        return (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx


def _cells(x: jax.Array, y_position: jax.Array, x_position: jax.Array) -> _Cells:
    batch, height, width, groups, size = x.shape
    rows, columns = height + 3, width + 3
    y0, fy = _split(y_position, height)
    x0, fx = _split(x_position, width)
    image = jnp.arange(batch).reshape(batch, *[1] * (y0.ndim - 1))
    index = ((image * rows + y0) * columns + x0) * groups + jnp.arange(groups)
    corners = (0, groups, columns * groups, (columns + 1) * groups)
    return _Cells(index.reshape(-1), fy.reshape(-1), fx.reshape(-1), corners, (batch, rows, columns, groups, size))


def _table(x: jax.Array) -> jax.Array:
    """The zero-bordered image, one row of C / G numbers per pixel and group."""
    padded = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0), (0, 0)))
    return padded.reshape(math.prod(padded.shape[:-1]), x.shape[-1])


@jax.custom_vjp
def sample(x: jax.Array, y_position: jax.Array, x_position: jax.Array, mask: jax.Array) -> jax.Array:
    """Bilinear samples with zeros outside, times a mask.

    The gradient is written out, as a loop over the four corners: derived by JAX it takes 2.5 times as long on CPU (85
    against 33 ms of one core at 16 x 32 x 24 x 16, G = 4), because XLA computes positions and weights anew wherever
    they are used, and scatters to four sets of rows.

    Args:
      x: [B, H, W, G, C / G].
      y_position, x_position: float32 [B, ..., G], pixels.
      mask: [B, ..., G].

    Returns:
      [B, ..., G, C / G] in the dtype of x.
    """
    cells = _cells(x, y_position, x_position)
    modulation = mask.reshape(-1, 1).astype(jnp.float32)
    table = _table(x)
    corners = (table.at[cells.index + distance].get(mode="promise_in_bounds") for distance in cells.corners)
    terms = (corner * (weight * modulation) for corner, weight in zip(corners, cells.weights))
    return sum(terms).astype(x.dtype).reshape(*y_position.shape, x.shape[-1])


def _sample_forward(*arguments: jax.Array):
    return sample(*arguments), arguments


def _sample_backward(arguments: tuple[jax.Array, ...], gradient: jax.Array):
    x, y_position, x_position, mask = arguments
    cells = _cells(x, y_position, x_position)
    size = x.shape[-1]
    table = _table(x)
    modulation = mask.reshape(-1).astype(jnp.float32)
    gradient = gradient.reshape(-1, size).astype(jnp.float32)
    modulated = gradient * modulation[:, None]

    def add_corner(sums, corner):
        to_table, to_y, to_x, to_mask = sums
        distance, below, right = corner
        weight_y, weight_x = (1 - below) + (2 * below - 1) * cells.fy, (1 - right) + (2 * right - 1) * cells.fx
        values = table.at[cells.index + distance].get(mode="promise_in_bounds")
        # Channel by channel: XLA's reduction along a short innermost axis is slow on CPU.
        value = sum(values[:, i] * gradient[:, i] for i in range(size))
        # Scattered to the row of the cell and then moved as a whole: one set of rows serves all four corners.
        part = (
            jnp.zeros_like(to_table)
            .at[cells.index]
            .add(modulated * (weight_y * weight_x)[:, None], mode="promise_in_bounds")
        )
        return (
            to_table + jnp.roll(part, distance, 0),
            to_y + (2 * below - 1) * weight_x * value,
            to_x + (2 * right - 1) * weight_y * value,
            to_mask + weight_y * weight_x * value,
        ), None

    corners = (jnp.array(cells.corners), jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([0.0, 1.0, 0.0, 1.0]))
    zeros = jnp.zeros_like(modulation)
    start = (jnp.zeros(table.shape, jnp.float32), zeros, zeros, zeros)
    (image, dy, dx, dmask), _ = jax.lax.scan(add_corner, start, corners)
    image = image.reshape(cells.border_shape)[:, 1:-2, 1:-2].astype(x.dtype)
    dy, dx = ((d * modulation).reshape(mask.shape) for d in (dy, dx))
    return image, dy, dx, dmask.astype(mask.dtype).reshape(mask.shape)


sample.defvjp(_sample_forward, _sample_backward)


def modulated_deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array | None, kernel: jax.Array, g: Geometry
) -> jax.Array:
    """Samples, modulates and convolves; arguments as in the public function.

    Returns:
      float32 [B, Ho, Wo, O], without the bias.
    """
    # Taps before groups from the start: then (taps, G, C / G) of the samples already is (taps, C) of the convolution.
    y, x_ = (jnp.swapaxes(p, 3, 4) for p in sample_positions(offset, g))
    modulation = jnp.ones_like(y) if mask is None else jnp.swapaxes(mask, 3, 4)
    grouped = x.reshape(*x.shape[:3], g.offset_groups, g.channels // g.offset_groups)
    samples = sample(grouped, y, x_, modulation)
    size = g.channels // g.groups
    if g.groups == 1:
        # A plain matrix product, for which (and for whose gradients) XLA's CPU backend has a fast routine.
        columns = samples.reshape(g.batch * g.out_height * g.out_width, g.taps * g.channels)
        out = jnp.matmul(columns, kernel.reshape(g.taps * size, g.out_channels), preferred_element_type=jnp.float32)
    else:
        columns = samples.reshape(*samples.shape[:4], g.groups, size)
        weights = kernel.reshape(g.taps, size, g.groups, g.out_channels // g.groups)
        out = jnp.einsum("bhwkgc,kcgo->bhwgo", columns, weights, preferred_element_type=jnp.float32)
    return out.reshape(g.batch, g.out_height, g.out_width, g.out_channels)

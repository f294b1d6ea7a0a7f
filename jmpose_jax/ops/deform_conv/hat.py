"""Bilinear interpolation as a product of triangle functions, and the rows that a tile of samples touches."""

import jax
import jax.numpy as jnp

from jmpose_jax.ops.deform_conv.geometry import Geometry
from jmpose_jax.ops.deform_conv.reference import sample_positions


def hat(distance: jax.Array) -> jax.Array:
    """The weight of a pixel at a signed distance from the sample: 1 - |d| within a pixel, else 0."""
    return jnp.maximum(1.0 - jnp.abs(distance), 0.0)


def hat_slope(distance: jax.Array) -> jax.Array:
    """The derivative of `hat` from the right.

    At whole distances the derivative by sign() would be 0; a network whose offsets start at zero would stay there.
    """
    rising = (distance >= -1.0) & (distance < 0.0)
    falling = (distance >= 0.0) & (distance < 1.0)
    return jnp.where(rising, 1.0, jnp.where(falling, -1.0, 0.0))


def bounded_positions(offset: jax.Array, g: Geometry) -> tuple[jax.Array, jax.Array]:
    """As `sample_positions`, with samples that read only zeros brought to within two pixels of the image.

    Integers made from positions are then safe, and value and gradient are zero as before.
    """
    y, x = sample_positions(offset, g)
    return jnp.clip(y, -2.0, g.height + 1.0), jnp.clip(x, -2.0, g.width + 1.0)


def touched(position: jax.Array, inside: jax.Array, size: int, axis: int | tuple[int, ...]) -> jax.Array:
    """First and last pixel along one axis of the image that samples touch; last < first where none does.

    Args:
      position: float32, along that axis of the image.
      inside: which samples count.
      size: pixels of the image along it.
      axis: the axes of `position` to reduce.

    Returns:
      int32, two in a new last axis.
    """
    first = jnp.min(jnp.where(inside, jnp.floor(position), size), axis, initial=size)
    last = jnp.max(jnp.where(inside, jnp.floor(position) + 1, -1), axis, initial=-1)
    return jnp.stack([jnp.maximum(first, 0), jnp.minimum(last, size - 1)], -1).astype(jnp.int32)


def reads_image(y: jax.Array, x: jax.Array, g: Geometry) -> jax.Array:
    """Which samples have a corner inside the image, or a gradient that comes from one."""
    return (y >= -1) & (y < g.height) & (x >= -1) & (x < g.width)


def dense_kernel(kernel: jax.Array, g: Geometry) -> jax.Array:
    """The kernel as [taps, C, O]; channel groups become blocks on a diagonal of zeros."""
    size, outputs = g.channels // g.groups, g.out_channels // g.groups
    if g.groups == 1:
        return kernel.reshape(g.taps, g.channels, g.out_channels)
    blocks = kernel.reshape(g.taps, size, g.groups, outputs)
    dense = jnp.einsum("kcfo,fh->kfcho", blocks, jnp.eye(g.groups, dtype=kernel.dtype))
    return dense.reshape(g.taps, g.channels, g.out_channels)

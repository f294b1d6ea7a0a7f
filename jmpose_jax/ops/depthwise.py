"""Depthwise convolutions that are fast on CPUs.

XLA runs grouped convolutions on CPUs by a general routine; nine multiply-adds of shifted images take a fifth of its
time (one core, the layers of MoveNet). Accelerators have kernels for the grouped form.
"""

import functools

import jax
import jax.numpy as jnp

from jmpose_jax.ops.target import target_device

LAYOUT = ("NHWC", "HWIO", "NHWC")


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's SAME pads: the odd one comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """A convolution of every channel by itself, with TensorFlow's SAME padding.

    Args:
      x: [N, H, W, C].
      kernel: [h, w, 1, C].
      stride: along both axes.

    Returns:
      [N, ceil(H / stride), ceil(W / stride), C].
    """
    height, width = kernel.shape[:2]
    padding = [same_padding(n, k, stride) for n, k in zip(x.shape[1:3], (height, width))]
    if target_device().platform != "cpu":
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=LAYOUT, feature_group_count=x.shape[-1]
        )
    # By lax and not by NumPy's notation: a network has hundreds of these, and each command traces them anew.
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    x = jnp.pad(x.astype(dtype), ((0, 0), *padding, (0, 0)))
    kernel = kernel.astype(dtype)
    batch, channels = x.shape[0], x.shape[-1]
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[1:3], (height, width)))
    shape = (batch, rows, columns, channels)

    def term(i: int, j: int) -> jax.Array:
        end = (batch, i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, channels)
        shifted = jax.lax.slice(x, (0, i, j, 0), end, (1, stride, stride, 1))
        tap = jax.lax.slice(kernel, (i, j, 0, 0), (i + 1, j + 1, 1, channels))
        return jax.lax.mul(shifted, jax.lax.broadcast_in_dim(tap, shape, (0, 1, 2, 3)))

    return functools.reduce(jax.lax.add, (term(i, j) for i in range(height) for j in range(width)))

"""Depthwise convolutions that are fast on CPUs.

XLA runs grouped convolutions on CPUs by a general routine; nine multiply-adds of shifted images take a fifth of its
time (one core, the layers of MoveNet). Accelerators have kernels for the grouped form.
"""

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
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[1:3], (height, width)))

    def shifted(i: int, j: int) -> jax.Array:
        return x[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]

    return sum(shifted(i, j) * kernel[i, j, 0] for i in range(height) for j in range(width))

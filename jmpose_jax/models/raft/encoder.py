"""The encoders of RAFT: residual networks that bring an image to an eighth of its size."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.models.blocks import BATCH_NORM_EPSILON, BatchNorm, Initializer, same_padding
from jmpose_jax.ops.convolution import conv_general_dilated

# Kaiming initialisation by fan-out, as the published training begins.
ENCODER_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def contrast_init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Fan-in scaled kernel whose weights sum to zero over the inputs, so that what all positions share drops out."""
    kernel = nn.initializers.lecun_normal()(key, shape, dtype)
    return kernel - kernel.mean(-2, keepdims=True)


def instance_norm(x: jax.Array) -> jax.Array:
    """Normalise every channel of every image of x [B, H, W, C] on its own; no parameters, no statistics kept."""
    mean = x.mean((1, 2), keepdims=True)
    variance = jnp.square(x - mean).mean((1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + BATCH_NORM_EPSILON)


class NormConv(nn.Module):
    """Convolution with bias, normalisation of the given kind, ReLU where asked.

    Attributes:
      features: output channels.
      kernel_size: side of the kernel.
      norm: "instance", "batch" or "none".
      strides: stride in both directions.
      relu: apply ReLU last.
      kernel_init: initialiser of the kernel.
    """

    features: int
    kernel_size: int
    norm: str
    strides: int = 1
    relu: bool = True
    kernel_init: Initializer = ENCODER_INIT

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.Conv(
            self.features,
            (self.kernel_size, self.kernel_size),
            strides=self.strides,
            padding=same_padding(self.kernel_size),
            kernel_init=self.kernel_init,
            conv_general_dilated=conv_general_dilated,
            name="conv",
        )(x)
        if self.norm == "instance":
            x = instance_norm(x)
        elif self.norm == "batch":
            x = BatchNorm(name="bn")(x, train)
        return nn.relu(x) if self.relu else x


class EncoderBlock(nn.Module):
    """Residual block; both its branches end in ReLU before they are added, unlike He et al.

    Attributes:
      features: output channels.
      norm: see NormConv.
      strides: stride of the 3x3 convolution that comes first, and of the shortcut.
      bottleneck: 1x1, 3x3, 1x1 convolutions through a quarter of the channels, not two 3x3.
    """

    features: int
    norm: str
    strides: int = 1
    bottleneck: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        if self.bottleneck:
            inner = self.features // 4
            y = NormConv(inner, 1, self.norm, name="conv1")(x, train)
            y = NormConv(inner, 3, self.norm, self.strides, name="conv2")(y, train)
            y = NormConv(self.features, 1, self.norm, name="conv3")(y, train)
        else:
            y = NormConv(self.features, 3, self.norm, self.strides, name="conv1")(x, train)
            y = NormConv(self.features, 3, self.norm, name="conv2")(y, train)
        if self.strides != 1:
            x = NormConv(self.features, 1, self.norm, self.strides, relu=False, name="shortcut")(x, train)
        return nn.relu(x + y)


class RAFTEncoder(nn.Module):
    """Image to features of an eighth of its size.

    Attributes:
      output: output channels.
      norm: see NormConv.
      widths: channels of the stem and of the three layers.
      bottleneck: see EncoderBlock.
      output_init: initialiser of the last convolution.
    """

    output: int
    norm: str
    widths: tuple[int, int, int, int]
    bottleneck: bool = False
    output_init: Initializer = ENCODER_INIT

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Any:
        """Args: images float32 [B, H, W, 3] in -1..1. Returns: float32 [B, H/8, W/8, output]."""
        x = NormConv(self.widths[0], 7, self.norm, strides=2, name="conv1")(images, train)
        for layer, width in enumerate(self.widths[1:], start=1):
            for block in range(2):
                strides = 2 if layer > 1 and block == 0 else 1
                name = f"layer{layer}_{block}"
                x = EncoderBlock(width, self.norm, strides, self.bottleneck, name=name)(x, train)
        last = dict(relu=False, kernel_init=self.output_init)
        return NormConv(self.output, 1, "none", name="conv2", **last)(x, train)

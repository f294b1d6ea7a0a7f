"""The recurrent update of RAFT: from correlation samples and the flow so far to a correction of the flow."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.models.blocks import Initializer
from jmpose_jax.ops.convolution import conv_general_dilated

# PyTorch's default initialisation of convolutions, which the published training of these layers begins with.
UPDATE_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def conv(features: int, kernel: int | tuple[int, int], name: str, kernel_init: Initializer = UPDATE_INIT) -> nn.Conv:
    """A convolution that keeps the size."""
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple((k // 2, k // 2) for k in size)
    return nn.Conv(
        features,
        size,
        padding=padding,
        kernel_init=kernel_init,
        conv_general_dilated=conv_general_dilated,
        name=name,
    )


class MotionEncoder(nn.Module):
    """Features of the correlation samples and of the flow, with the flow itself as the last two channels.

    Attributes:
      correlation: channels of the convolutions on the correlation samples (1x1, then 3x3).
      flow: channels of the two convolutions on the flow (7x7, then 3x3).
      output: channels of the result without the flow's two.
    """

    correlation: tuple[int, ...]
    flow: tuple[int, int]
    output: int

    @nn.compact
    def __call__(self, flow: jax.Array, correlation: jax.Array) -> jax.Array:
        """Args: flow [B, h, w, 2], correlation [B, h, w, N]. Returns: [B, h, w, output + 2]."""
        c = correlation
        for i, features in enumerate(self.correlation, start=1):
            c = nn.relu(conv(features, 1 if i == 1 else 3, f"convc{i}")(c))
        f = nn.relu(conv(self.flow[0], 7, "convf1")(flow))
        f = nn.relu(conv(self.flow[1], 3, "convf2")(f))
        motion = nn.relu(conv(self.output, 3, "conv")(jnp.concatenate([c, f], axis=-1)))
        return jnp.concatenate([motion, flow], axis=-1)


class ConvGRU(nn.Module):
    """Gated recurrent unit with convolutions, one pass for each kernel size.

    Attributes:
      kernels: kernel sizes of the passes; the basic model runs along rows, then along columns.
      suffixes: what follows "convz", "convr" and "convq" in the names of each pass.
    """

    kernels: tuple[tuple[int, int], ...]
    suffixes: tuple[str, ...]

    @nn.compact
    def __call__(self, hidden: jax.Array, x: jax.Array) -> jax.Array:
        """Args: hidden [B, h, w, D], x [B, h, w, C]. Returns: the new hidden state [B, h, w, D]."""
        features = hidden.shape[-1]
        for kernel, suffix in zip(self.kernels, self.suffixes):
            hx = jnp.concatenate([hidden, x], axis=-1)
            z = nn.sigmoid(conv(features, kernel, f"convz{suffix}")(hx))
            r = nn.sigmoid(conv(features, kernel, f"convr{suffix}")(hx))
            q = nn.tanh(conv(features, kernel, f"convq{suffix}")(jnp.concatenate([r * hidden, x], axis=-1)))
            hidden = (1 - z) * hidden + z * q
        return hidden


class FlowHead(nn.Module):
    """Hidden state to a correction of the flow.

    Attributes:
      features: channels between the two convolutions.
      output_init: initialiser of the last one.
    """

    features: int
    output_init: Initializer = UPDATE_INIT

    @nn.compact
    def __call__(self, hidden: jax.Array) -> jax.Array:
        """Args: hidden [B, h, w, D]. Returns: [B, h, w, 2], pixels of the coarse grid."""
        return conv(2, 3, "conv2", self.output_init)(nn.relu(conv(self.features, 3, "conv1")(hidden)))


class MaskHead(nn.Module):
    """Hidden state to the logits of the convex upsampling (9 neighbours of 8x8 pixels)."""

    @nn.compact
    def __call__(self, hidden: jax.Array) -> jax.Array:
        """Args: hidden [B, h, w, D]. Returns: [B, h, w, 576]."""
        # A quarter, as published: it balances the gradients of the mask against those of the flow.
        return 0.25 * conv(9 * 64, 1, "conv2")(nn.relu(conv(256, 3, "conv1")(hidden)))

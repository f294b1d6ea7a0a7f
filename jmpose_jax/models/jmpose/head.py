"""From the last features to heatmaps: S_t of Eq. 14 and the detection head."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, ConvBN, Initializer
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.convolution import conv_general_dilated


class DetectionHead(nn.Module):
    """Heatmaps by 3x3 convolutions.

    Attributes:
      features: width of the convolutions before the last one.
      num_blocks: convolutions with normalisation and activation before the last one.
      residual: add what the last one makes to Ĥ_t, and let it start at zero; else it makes the heatmaps alone.
      kernel_init: initialiser of the kernels but the last one's.
    """

    features: int = 48
    num_blocks: int = 0
    residual: bool = False
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, x: jax.Array, aggregated: jax.Array, train: bool = False) -> jax.Array:
        """Args: features [B, h, w, C], Ĥ_t [B, h, w, K]. Returns: heatmaps [B, h, w, K]."""
        for i in range(1, self.num_blocks + 1):
            block = ConvBN(self.features, activation=nn.relu, kernel_init=self.kernel_init, name=f"block{i}")
            x = block(x, train)
        joints = aggregated.shape[-1]
        init = nn.initializers.zeros if self.residual else LINEAGE_INIT
        kernel = self.param("kernel", init, (3, 3, x.shape[-1], joints))
        bias = self.param("bias", nn.initializers.zeros, (joints,))
        layout = dict(padding=((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"))
        heatmaps = conv_general_dilated(x, kernel, window_strides=(1, 1), **layout) + bias
        return heatmaps + aggregated if self.residual else heatmaps


class Fusion(ChainOfBasicBlocks):
    """S_t of Eq. 14: residual blocks over J^L and M^L side by side.

    Attributes:
      features, kernel_init: as in ChainOfBasicBlocks.
      num_blocks: how many blocks.
    """

    num_blocks: int = 3

    def __call__(self, joint: jax.Array, motion: jax.Array, train: bool = False) -> jax.Array:
        """Args: J^L and M^L, both [B, h, w, C]. Returns: S_t [B, h, w, C]."""
        if self.num_blocks < 1:
            raise InputError(f"fusion.num_blocks={self.num_blocks} must be at least 1")
        return super().__call__(jnp.concatenate([joint, motion], -1), train)


FUSION = Part({"": Fusion}, given=("features", "kernel_init", "project", "dtype"))
HEAD = Part({"": DetectionHead}, given=("features", "kernel_init"))

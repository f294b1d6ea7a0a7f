"""Sampling a feature by a modulated deformable convolution that another feature steers: JM-Pose, TDMI and DCPose."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, Initializer, same_padding
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.ops.deform_conv import modulated_deform_conv2d

MASK_ACTIVATIONS = ("sigmoid", "none")
TAPS = 9
# Uniform within 1 / sqrt(fan in): how PyTorch's layers begin.
TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def identity(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """An initialiser: kernel [h, w, C, C] of odd size whose convolution returns its input."""
    height, width, channels, _ = shape
    return jnp.zeros(shape, dtype).at[height // 2, width // 2].set(jnp.eye(channels, dtype=dtype))


class DeformableSampling(nn.Module):
    """Offsets and weights from a guide feature, and the deformable convolution that they steer (JM-Pose, Eq. 3 to 5).

    Attributes:
      features: output channels.
      offset_groups: groups G of channels with offsets of their own; they divide the channels of x.
      num_blocks: residual blocks of the offset branch and of the mask branch, each with its own parameters.
      mask_activation: "sigmoid" (as DCNv2; both branches start at zero: no displacement, weight 1/2) or "none" (as the
        lineage: the raw convolution is the weight; both start near zero).
      kernel_init: initialiser of the kernels. The deformable convolution's own starts as in PyTorch where that is the
        lineage's, whose initialisation passes it over.
      dilation: spacing of the deformable convolution's taps; the offsets count from there.
      guide_dilation: spacing of the taps of the two convolutions that read the guide.
      guide_bias: whether those two have a bias.
      identity: let the deformable convolution start as the identity (DCPose, which moves heatmaps with it).
    """

    features: int
    offset_groups: int = 12
    num_blocks: int = 1
    mask_activation: str = "sigmoid"
    kernel_init: Initializer = DEFAULT_INIT
    dilation: int = 1
    guide_dilation: int = 3
    guide_bias: bool = True
    identity: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, guide: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, h, w, C], guide [B, h, w, C']. Returns: [B, h, w, features]."""
        if self.mask_activation not in MASK_ACTIVATIONS:
            raise InputError(f"mask_activation={self.mask_activation!r}: choose one of {', '.join(MASK_ACTIVATIONS)}")
        channels = x.shape[-1]
        if channels % self.offset_groups:
            raise InputError(f"offset_groups={self.offset_groups} must divide the {channels} channels that it moves")
        shape = (*x.shape[:3], self.offset_groups, TAPS)
        offset = self._branch("offset", guide, 2, train).reshape(*shape, 2)
        mask = self._branch("mask", guide, 1, train).reshape(shape)
        if self.mask_activation == "sigmoid":
            mask = jax.nn.sigmoid(mask)
        init = identity if self.identity else TORCH_INIT if self.kernel_init is LINEAGE_INIT else self.kernel_init
        kernel = self.param("kernel", init, (3, 3, channels, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        spacing = dict(padding=self.dilation, dilation=self.dilation)
        return modulated_deform_conv2d(x, offset, mask, kernel, bias, **spacing)

    def _branch(self, name: str, guide: jax.Array, values: int, train: bool) -> jax.Array:
        """`values` numbers per group and tap: residual blocks, then one dilated convolution."""
        init = nn.initializers.zeros if self.mask_activation == "sigmoid" else LINEAGE_INIT
        if self.num_blocks:
            blocks = ChainOfBasicBlocks(
                self.features, self.num_blocks, kernel_init=self.kernel_init, name=f"{name}_blocks"
            )
            guide = blocks(guide, train)
        features = values * self.offset_groups * TAPS
        spacing = dict(kernel_dilation=self.guide_dilation, padding=same_padding(3, self.guide_dilation))
        options = dict(use_bias=self.guide_bias, kernel_init=init) | spacing
        options["conv_general_dilated"] = conv_general_dilated
        return nn.Conv(features, (3, 3), name=f"{name}_conv", **options)(guide)

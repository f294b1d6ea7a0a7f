"""The context-aware joint learner (CJL, section 3.1): joint features J_t, sampled from the motion where joints are."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, Initializer
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.ops.deform_conv import modulated_deform_conv2d

MASK_ACTIVATIONS = ("sigmoid", "none")
TAPS = 9
# Uniform within 1 / sqrt(fan in): how PyTorch's layers begin.
TORCH_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class DeformableSampling(nn.Module):
    """Offsets and weights from a guide feature, and the deformable convolution that they steer (Eq. 3 to 5).

    Attributes:
      features: output channels.
      offset_groups: groups G of channels with offsets of their own; they divide the channels of the motion.
      num_blocks: residual blocks of the offset branch and of the mask branch, each with its own parameters.
      mask_activation: "sigmoid" (as DCNv2; both branches start at zero: no displacement, weight 1/2) or "none" (as the
        lineage: the raw convolution is the weight; both start near zero).
      kernel_init: initialiser of the kernels. The deformable convolution's own starts as in PyTorch where that is the
        lineage's, whose initialisation passes it over.
      dilation: spacing of the deformable convolution's taps; the offsets count from there.
    """

    features: int
    offset_groups: int = 12
    num_blocks: int = 1
    mask_activation: str = "sigmoid"
    kernel_init: Initializer = DEFAULT_INIT
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, guide: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, h, w, C], guide [B, h, w, C']. Returns: [B, h, w, features]."""
        if self.mask_activation not in MASK_ACTIVATIONS:
            raise InputError(f"mask_activation={self.mask_activation!r}: choose one of {', '.join(MASK_ACTIVATIONS)}")
        channels = x.shape[-1]
        if channels % self.offset_groups:
            raise InputError(f"offset_groups={self.offset_groups} must divide the {channels} channels of the motion")
        shape = (*x.shape[:3], self.offset_groups, TAPS)
        offset = self._branch("offset", guide, 2, train).reshape(*shape, 2)
        mask = self._branch("mask", guide, 1, train).reshape(shape)
        if self.mask_activation == "sigmoid":
            mask = jax.nn.sigmoid(mask)
        init = TORCH_INIT if self.kernel_init is LINEAGE_INIT else self.kernel_init
        kernel = self.param("kernel", init, (3, 3, channels, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        spacing = dict(padding=self.dilation, dilation=self.dilation)
        return modulated_deform_conv2d(x, offset, mask, kernel, bias, **spacing)

    def _branch(self, name: str, guide: jax.Array, values: int, train: bool) -> jax.Array:
        """`values` numbers per group and tap: residual blocks, then a convolution of dilation 3."""
        init = nn.initializers.zeros if self.mask_activation == "sigmoid" else LINEAGE_INIT
        if self.num_blocks:
            blocks = ChainOfBasicBlocks(
                self.features, self.num_blocks, kernel_init=self.kernel_init, name=f"{name}_blocks"
            )
            guide = blocks(guide, train)
        features = values * self.offset_groups * TAPS
        options = dict(kernel_dilation=3, padding=((3, 3), (3, 3)), kernel_init=init)
        options["conv_general_dilated"] = conv_general_dilated
        return nn.Conv(features, (3, 3), name=f"{name}_conv", **options)(guide)


class ContextAwareJointLearner(nn.Module):
    """J_t from the aggregated heatmaps and the motion.

    Attributes:
      features: channels C of J_t.
      offset_groups, mask_activation: as in DeformableSampling.
      kernel_init: initialiser of the kernels.
      context_blocks: residual blocks of Eq. 2.
      offset_blocks, dilation: num_blocks and dilation of DeformableSampling.
    """

    features: int = 48
    offset_groups: int = 12
    mask_activation: str = "sigmoid"
    kernel_init: Initializer = DEFAULT_INIT
    context_blocks: int = 1
    offset_blocks: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, aggregated: jax.Array, motion: jax.Array, train: bool = False) -> jax.Array:
        """Args: aggregated heatmaps [B, h, w, K], motion [B, h, w, C]. Returns: J_t [B, h, w, C]."""
        for name in ("context_blocks", "dilation"):
            if getattr(self, name) < 1:
                raise InputError(f"context_aware_joint_learner.{name}={getattr(self, name)} must be at least 1")
        fused = jnp.concatenate([aggregated, motion], -1)
        blocks = ChainOfBasicBlocks(self.features, self.context_blocks, kernel_init=self.kernel_init, name="fusion")
        fused = blocks(fused, train)  # Eq. 2
        sampling = DeformableSampling(
            self.features,
            offset_groups=self.offset_groups,
            num_blocks=self.offset_blocks,
            mask_activation=self.mask_activation,
            kernel_init=self.kernel_init,
            dilation=self.dilation,
            name="sampling",
        )
        return sampling(motion, fused, train)  # Eq. 3 to 5


class JointProjection(nn.Module):
    """J_t as a projection of the aggregated heatmaps: the ablation without CJL.

    Attributes:
      features: channels C of J_t.
      kernel_init: initialiser of the kernels.
    """

    features: int = 48
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, aggregated: jax.Array, motion: jax.Array, train: bool = False) -> jax.Array:
        """Args: aggregated heatmaps [B, h, w, K]; motion is not read. Returns: J_t [B, h, w, C]."""
        return ChainOfBasicBlocks(self.features, 1, kernel_init=self.kernel_init, name="blocks")(aggregated, train)


JOINT_LEARNER = Part(
    {"deformable": ContextAwareJointLearner, "projection": JointProjection}, given=("features", "kernel_init")
)

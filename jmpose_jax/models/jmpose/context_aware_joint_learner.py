"""The context-aware joint learner (CJL, section 3.1): joint features J_t, sampled from the motion where joints are."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, Initializer
from jmpose_jax.models.deformable_sampling import DeformableSampling
from jmpose_jax.models.parts import Part


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

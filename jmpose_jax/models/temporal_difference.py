"""The multi-stage temporal difference encoder of TDMI (Feng et al., CVPR 2023), which JM-Pose* has in flow's place."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, Initializer
from jmpose_jax.models.deformable_sampling import DeformableSampling

COMPARED = ("all", "last")


class FeatureDifferenceEncoder(nn.Module):
    """M_t of JM-Pose*: what changes between neighbouring frames' backbone features, stage by stage.

    At every stage of the backbone the differences of its finest features between neighbouring frames are fused, and a
    deformable convolution, steered by them and the key frame's last features, samples them; each stage adds to the
    one before (the multi-stage temporal difference encoder of TDMI).

    Attributes:
      features: channels C of M_t.
      offset_groups: offset groups of the deformable convolutions.
      mask_activation: "sigmoid" or "none".
      compared: "all" stages of the backbone, or the "last" alone.
      kernel_init: initialiser of the kernels.
    """

    features: int = 48
    offset_groups: int = 12
    mask_activation: str = "sigmoid"
    compared: str = "all"
    kernel_init: Initializer = DEFAULT_INIT

    reads_flow: ClassVar[bool] = False

    @nn.compact
    def __call__(self, flow: None, stages: tuple[jax.Array, ...], train: bool = False) -> jax.Array:
        """Args: stages, each [B, T, h, w, C'], earliest first; flow is not read. Returns: float32 [B, h, w, C]."""
        if self.compared not in COMPARED:
            raise InputError(f"motion_encoder.compared={self.compared!r}: choose one of {', '.join(COMPARED)}")
        stages = stages if self.compared == "all" else stages[-1:]
        options = dict(kernel_init=self.kernel_init)
        key = stages[-1][:, stages[-1].shape[1] // 2]
        motion = None
        for i, stage in enumerate(stages, start=1):
            difference = jnp.diff(stage, axis=1)
            batch, pairs, height, width, channels = difference.shape
            x = jnp.moveaxis(difference, 1, 3).reshape(batch, height, width, pairs * channels)
            x = ChainOfBasicBlocks(self.features, 2, name=f"fuse{i}", **options)(x, train)
            guide = jnp.concatenate([key, x], -1)
            guide = ChainOfBasicBlocks(self.features, 1, name=f"guide{i}", **options)(guide, train)
            sampling = DeformableSampling(
                self.features,
                offset_groups=self.offset_groups,
                num_blocks=0,
                mask_activation=self.mask_activation,
                name=f"sampling{i}",
                **options,
            )
            x = sampling(x, guide, train)
            if motion is not None:
                x = ChainOfBasicBlocks(self.features, 1, name=f"merge{i}", **options)(motion + x, train)
            motion = x
        return motion

"""The motion feature M_t: optical flow between the frames of a clip, brought to the resolution of the heatmaps."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, ConvBN, Initializer
from jmpose_jax.models.context_aware_joint_learner import DeformableSampling

FLOW_SOURCES = ("raft", "batch", "none")


def stem_strides(flow_size: tuple[int, int], heatmap_size: tuple[int, int]) -> tuple[int, int]:
    """The strides of the two stem convolutions; (2, 2) for flow at the full resolution of the crop.

    Raises:
      InputError: the flow is not 1, 2 or 4 times as large as the heatmaps in both directions.
    """
    for factor, strides in ((4, (2, 2)), (2, (2, 1)), (1, (1, 1))):
        if flow_size == (factor * heatmap_size[0], factor * heatmap_size[1]):
            return strides
    raise InputError(
        f"flow of {flow_size[0]} x {flow_size[1]} does not fit heatmaps of {heatmap_size[0]} x {heatmap_size[1]}: "
        "it must be 1, 2 or 4 times as large (flow_stride 4, 2 or 1)"
    )


class MotionEncoder(nn.Module):
    """M_t of Eq. 1: the flows of all pairs side by side, two convolutions down to the heatmaps' size, then blocks.

    The stem learns how to shrink the flow; nothing is interpolated. The activation comes after its second convolution.

    Attributes:
      features: channels C of M_t.
      num_blocks: residual blocks after the stem.
      flow_scale: crop pixels that become 1 at the input, about the largest motion of a joint.
      kernel_init: initialiser of the kernels.
    """

    features: int = 48
    num_blocks: int = 4
    flow_scale: float = 8.0
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, flow: jax.Array, heatmap_size: tuple[int, int], train: bool = False) -> jax.Array:
        """Encode the flow.

        Args:
          flow: float32 [B, P, H/s, W/s, 2], crop pixels, P pairs of frames.
          heatmap_size: (h, w).
          train: batch statistics instead of running ones.

        Returns:
          float32 [B, h, w, C].
        """
        batch, pairs, height, width, _ = flow.shape
        first, second = stem_strides((height, width), heatmap_size)
        x = jnp.moveaxis(flow, 1, 3).reshape(batch, height, width, 2 * pairs) / self.flow_scale
        options = dict(kernel_init=self.kernel_init, use_bias=True)
        x = ConvBN(self.features, strides=first, name="stem1", **options)(x, train)
        x = ConvBN(self.features, strides=second, activation=nn.relu, name="stem2", **options)(x, train)
        blocks = ChainOfBasicBlocks(self.features, self.num_blocks, kernel_init=self.kernel_init, name="blocks")
        return blocks(x, train)


def network_flow(
    network: nn.Module, frames: jax.Array, pairs: tuple[tuple[int, int], ...], **options: Any
) -> jax.Array:
    """The flow of all frame pairs of a clip by a network that reads RGB in 0..255 (RAFT); no gradient passes.

    Args:
      network: called as network(image1, image2, **options), images float32 [N, H, W, 3].
      frames: uint8 [B, T, H, W, 3], RGB.
      pairs: index pairs (a, b); the flow says where the pixels of frame a are in frame b.
      **options: handed to the network.

    Returns:
      float32 [B, P, H, W, 2], crop pixels.
    """
    batch, _, height, width, channels = frames.shape
    shape = (batch * len(pairs), height, width, channels)
    first, second = (frames[:, np.array(side)].reshape(shape).astype(jnp.float32) for side in zip(*pairs))
    flow = network(first, second, **options)
    return jax.lax.stop_gradient(flow.reshape(batch, len(pairs), height, width, 2))


class FeatureDifferenceEncoder(nn.Module):
    """M_t of JM-Pose*: what changes between neighbouring frames' backbone features, stage by stage.

    At every stage of the backbone the differences of its finest features between neighbouring frames are fused, and a
    deformable convolution, steered by them and the key frame's last features, samples them; each stage adds to the
    one before (the multi-stage temporal difference encoder of TDMI).

    Attributes:
      features: channels C of M_t.
      offset_groups: offset groups of the deformable convolutions.
      mask_activation: "sigmoid" or "none".
      kernel_init: initialiser of the kernels.
    """

    features: int = 48
    offset_groups: int = 12
    mask_activation: str = "sigmoid"
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, stages: tuple[jax.Array, ...], train: bool = False) -> jax.Array:
        """Args: stages, each [B, T, h, w, C'], earliest first. Returns: float32 [B, h, w, C]."""
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
                self.features, self.offset_groups, 0, self.mask_activation, self.kernel_init, name=f"sampling{i}"
            )
            x = sampling(x, guide, train)
            if motion is not None:
                x = ChainOfBasicBlocks(self.features, 1, name=f"merge{i}", **options)(motion + x, train)
            motion = x
        return motion

"""The motion feature M_t: optical flow between the frames of a clip, brought to the resolution of the heatmaps.

Every encoder is called with the clip's flow and the backbone's features, and reads one of them.
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, ConvBN, Initializer
from jmpose_jax.models.parts import Part
from jmpose_jax.models.temporal_difference import FeatureDifferenceEncoder


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


class FlowEncoder(nn.Module):
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

    reads_flow: ClassVar[bool] = True

    @nn.compact
    def __call__(self, flow: jax.Array, stages: tuple[jax.Array, ...], train: bool = False) -> jax.Array:
        """Encode the flow.

        Args:
          flow: float32 [B, P, H/s, W/s, 2], crop pixels, P pairs of frames.
          stages: features of the heatmaps' size, each [B, T, h, w, C']; only their size is read.
          train: batch statistics instead of running ones.

        Returns:
          float32 [B, h, w, C].
        """
        batch, pairs, height, width, _ = flow.shape
        first, second = stem_strides((height, width), stages[-1].shape[2:4])
        x = jnp.moveaxis(flow, 1, 3).reshape(batch, height, width, 2 * pairs) / self.flow_scale
        options = dict(kernel_init=self.kernel_init, use_bias=True)
        x = ConvBN(self.features, strides=first, name="stem1", **options)(x, train)
        x = ConvBN(self.features, strides=second, activation=nn.relu, name="stem2", **options)(x, train)
        blocks = ChainOfBasicBlocks(self.features, self.num_blocks, kernel_init=self.kernel_init, name="blocks")
        return blocks(x, train)


class ZeroFlowEncoder(FlowEncoder):
    """The same of a flow that is zero everywhere: all of its parameters and none of the motion, for studies of flow.

    Attributes:
      features, num_blocks, flow_scale, kernel_init: as in FlowEncoder.
    """

    reads_flow: ClassVar[bool] = False

    def __call__(self, flow: None, stages: tuple[jax.Array, ...], train: bool = False) -> jax.Array:
        """Args: stages, each [B, T, h, w, C']; flow is not read. Returns: float32 [B, h, w, C]."""
        batch, length, height, width, _ = stages[-1].shape
        return super().__call__(jnp.zeros((batch, length - 1, height, width, 2)), stages, train)


MOTION_ENCODER = Part(
    {"flow": FlowEncoder, "feature_difference": FeatureDifferenceEncoder, "zero_flow": ZeroFlowEncoder},
    given=("features", "kernel_init"),
)

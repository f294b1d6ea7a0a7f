"""An image network as a video model: the key frame alone, the baseline that every temporal model must beat."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn

from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.images import normalize
from jmpose_jax.records import ClipBatch, PoseOutput


class ImageBaseline(nn.Module):
    """Heatmaps of the key frame from a network that sees nothing else.

    The network is the submodule "backbone", so that its variables can be handed to a temporal model as they are.

    Attributes:
      backbone: the image network: its kind and its options.
    """

    backbone: Mapping[str, Any]

    PARTS: ClassVar[Mapping[str, Part]] = {"backbone": BACKBONE}

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> PoseOutput:
        """Estimate the key frame.

        Args:
          batch: clips; of `frames` uint8 [B, T, H, W, 3] only frame T // 2 is read.
          train: normalise with the batch's statistics and update the running ones.

        Returns:
          PoseOutput with heatmaps [B, H/4, W/4, K] and the same as initial_heatmaps [B, 1, H/4, W/4, K].

        Raises:
          InputError: the network is unknown or has other joints, or the crops have a size that it cannot read.
        """
        key_frame = batch.frames[:, batch.frames.shape[1] // 2]
        heatmaps = create_backbone(self.backbone, batch)(normalize(key_frame), train)
        return PoseOutput(heatmaps=heatmaps, initial_heatmaps=heatmaps[:, None])

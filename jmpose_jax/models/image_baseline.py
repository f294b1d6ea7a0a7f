"""An image network as a video model: the key frame alone, the baseline that every temporal model must beat."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmpose_jax.errors import InputError
from jmpose_jax.models.hrnet import HRNet
from jmpose_jax.models.simple_baseline import SimpleBaseline
from jmpose_jax.ops.images import normalize
from jmpose_jax.records import ClipBatch, PoseOutput

NETWORKS: dict[str, type[nn.Module]] = {"hrnet": HRNet, "simple_baseline": SimpleBaseline}


class ImageBaseline(nn.Module):
    """Heatmaps of the key frame from a network that sees nothing else.

    The network is the submodule "backbone", so that its variables can be handed to a temporal model as they are.

    Attributes:
      backbone: keyword arguments of the network.
      network: "hrnet" or "simple_baseline".
    """

    backbone: Mapping[str, Any]
    network: str = "hrnet"

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> PoseOutput:
        """Estimate the key frame.

        Args:
          batch: clips; of `frames` uint8 [B, T, H, W, 3] only frame T // 2 is read.
          train: normalise with the batch's statistics and update the running ones.

        Returns:
          PoseOutput with heatmaps [B, H/4, W/4, K] and the same as initial_heatmaps [B, 1, H/4, W/4, K].

        Raises:
          InputError: the network is unknown, or the crops have a size that it cannot read.
        """
        if self.network not in NETWORKS:
            raise InputError(f"network={self.network!r}: choose one of {', '.join(NETWORKS)}")
        key_frame = batch.frames[:, batch.frames.shape[1] // 2]
        network = NETWORKS[self.network](**self.backbone, name="backbone")
        heatmaps = network(normalize(key_frame), train)
        return PoseOutput(heatmaps=heatmaps, initial_heatmaps=heatmaps[:, None])

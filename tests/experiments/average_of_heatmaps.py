"""The toy of docs/adding_a_system.md: the heatmaps of a clip's frames, averaged with weights that are learned."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone, see_every_frame
from jmpose_jax.models.parts import Part
from jmpose_jax.records import ClipBatch, PoseOutput


class AverageOfHeatmaps(nn.Module):
    """One backbone on every frame, and one learned weight a frame.

    Attributes:
      backbone: the image network: its kind and its options.
    """

    backbone: Mapping[str, Any]

    PARTS: ClassVar[Mapping[str, Part]] = {"backbone": BACKBONE}

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> PoseOutput:
        """Args: batch, clips of T frames; train: batch statistics. Returns: heatmaps of the key frame."""
        maps, _ = see_every_frame(create_backbone(self.backbone, batch), batch.frames, train)
        weights = jax.nn.softmax(self.param("weights", nn.initializers.zeros, (maps.shape[1],)))
        average = jnp.einsum("bthwk,t->bhwk", maps, weights, precision=jax.lax.Precision.HIGHEST)
        return PoseOutput(heatmaps=average, initial_heatmaps=maps)

"""DCPose (Liu et al., CVPR 2021): heatmaps of three frames, merged, compared, and moved into place.

The pose temporal merger (PTM) and the pose residual fusion (PRF) are the paper's sections 3.1 and 3.2, the pose
correction network (PCN) its section 3.3; widths and order of channels are those of its public code.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone, see_every_frame
from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfRSBBlocks, Initializer, initializer
from jmpose_jax.models.deformable_sampling import DeformableSampling
from jmpose_jax.models.parts import Part
from jmpose_jax.records import ClipBatch, PoseOutput


class PoseCorrection(nn.Module):
    """PCN: merged heatmaps, each moved by offsets of its own at several dilations; the mean of what comes out.

    Attributes:
      dilations: of the parallel deformable convolutions and of the convolutions that steer them.
      mask_activation: "none" (as published: the raw convolution is the weight, near 0 at first) or "sigmoid".
      kernel_init: initialiser of the kernels.
    """

    dilations: tuple[int, ...] = (3, 6, 9, 12, 15)
    mask_activation: str = "none"
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, heatmaps: jax.Array, guide: jax.Array, train: bool = False) -> jax.Array:
        """Args: heatmaps [B, h, w, K], guide [B, h, w, C]. Returns: heatmaps [B, h, w, K]."""
        if not self.dilations:
            raise InputError("correction.dilations is empty; give at least one, e.g. (3, 6, 9, 12, 15)")
        joints = heatmaps.shape[-1]
        moved = []
        for dilation in self.dilations:
            sampling = DeformableSampling(
                joints,
                offset_groups=joints,
                num_blocks=0,
                mask_activation=self.mask_activation,
                kernel_init=self.kernel_init,
                dilation=dilation,
                guide_dilation=dilation,
                guide_bias=False,
                identity=True,
                name=f"dilation{dilation}",
            )
            moved.append(sampling(heatmaps, guide, train))
        return sum(moved) / len(moved)


class DCPose(nn.Module):
    """Heatmaps of the key frame from it, one earlier frame and one later frame.

    With δ above 1, training draws how far the two lie from the key frame, from 1 to δ frames, each by itself; else the
    nearest are taken. Where a clip begins or ends, the frame that stands in for a missing one counts as it lies in the
    window.

    Attributes:
      backbone: the image network that makes the heatmaps of every frame: its kind and its options.
      correction: PCN, by options.
      difference_channels: channels of what PRF makes of the heatmaps' differences.
      combined_channels: channels of the guide that PRF and PTM make together.
      difference_blocks, merger_blocks, combined_blocks: residual steps blocks of PRF, of PTM and of the guide.
      kernel_init: "lineage" (kernels from N(0, 0.001)), or "fan_in", with which small models learn sooner.
      backbone_trainable: let gradients and batch statistics reach the backbone; frozen, it runs in evaluation mode.
    """

    backbone: Mapping[str, Any]
    correction: Mapping[str, Any] = FrozenDict()
    difference_channels: int = 34
    combined_channels: int = 64
    difference_blocks: int = 2
    merger_blocks: int = 1
    combined_blocks: int = 2
    kernel_init: str = "lineage"
    backbone_trainable: bool = False

    PARTS: ClassVar[Mapping[str, Part]] = {
        "backbone": BACKBONE,
        "correction": Part({"": PoseCorrection}, given=("kernel_init",)),
    }

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> PoseOutput:
        """Estimate the key frame.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3], δ at least 1, of which three are read.
          train: normalise with the batch's statistics and update the running ones; with δ above 1 draw the distances of
            the two neighbours from the stream "masking".

        Returns:
          PoseOutput with heatmaps [B, H/4, W/4, K] and initial_heatmaps [B, 3, H/4, W/4, K]: earlier, key, later.

        Raises:
          InputError: an option is unknown, or the batch has no neighbours.
        """
        frames, distances = self._neighbours(batch, train)
        backbone = create_backbone(self.backbone, batch)
        heatmaps, _ = see_every_frame(backbone, frames, train, self.backbone_trainable)
        return PoseOutput(self._fuse(heatmaps, distances, train), heatmaps)

    def _neighbours(self, batch: ClipBatch, train: bool) -> tuple[jax.Array, jax.Array]:
        """The three frames [B, 3, H, W, 3] in the order of time, and how far the outer two are, float32 [B, 2]."""
        size, length = batch.frames.shape[:2]
        if length < 3 or length % 2 == 0:
            raise InputError(f"DCPose reads clips of 2 delta + 1 frames, delta at least 1; the batch has {length}")
        key = length // 2
        if not train or key == 1:
            return batch.frames[:, key - 1 : key + 2], jnp.ones((size, 2))
        distances = jax.random.randint(self.make_rng("masking"), (size, 2), 1, key + 1)
        places = jnp.stack([key - distances[:, 0], jnp.full(size, key), key + distances[:, 1]], 1)
        return jnp.take_along_axis(batch.frames, places[..., None, None, None], 1), distances.astype(jnp.float32)

    def _fuse(self, heatmaps: jax.Array, distances: jax.Array, train: bool) -> jax.Array:
        """PTM, PRF and PCN. Args: heatmaps [B, 3, h, w, K], distances [B, 2]. Returns: [B, h, w, K]."""
        # A neighbour counts by how near it is: the farther the other one, the more.
        weights = (distances[:, ::-1] / jnp.sum(distances, 1, keepdims=True))[:, :, None, None, None]
        earlier, key, later = (heatmaps[:, i] for i in range(3))
        to_earlier, to_later = key - earlier, key - later
        options = dict(kernel_init=initializer(self.kernel_init))

        def blocks(features: int, count: int, name: str) -> ChainOfRSBBlocks:
            return ChainOfRSBBlocks(features, count, name=name, **options)

        compared = _by_joint(to_earlier, to_earlier * weights[:, 0], to_later, to_later * weights[:, 1])
        difference = blocks(self.difference_channels, self.difference_blocks, "difference")(compared, train)  # PRF
        seen = _by_joint(key, earlier * weights[:, 0], later * weights[:, 1])
        merged = blocks(key.shape[-1], self.merger_blocks, "merger")(seen, train)  # PTM
        both = jnp.concatenate([difference, merged], -1)
        guide = blocks(self.combined_channels, self.combined_blocks, "combined")(both, train)
        return self.PARTS["correction"].create(self.correction, name="correction", **options)(
            merged, guide, train
        )  # PCN


def _by_joint(*maps: jax.Array) -> jax.Array:
    """Maps [B, h, w, K] as [B, h, w, K * n], the n maps of one joint side by side."""
    stacked = jnp.stack(maps, -1)
    return stacked.reshape(*stacked.shape[:3], -1)

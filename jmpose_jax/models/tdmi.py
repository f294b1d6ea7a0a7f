"""TDMI (Feng et al., CVPR 2023): temporal differences of features, and which of that motion is of use.

The modules and their sizes are those of the public review code; the multi-stage encoder is JM-Pose*'s
(`temporal_difference.py`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone, see_every_frame
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, Initializer, initializer
from jmpose_jax.models.deformable_sampling import DeformableSampling
from jmpose_jax.models.parts import Part
from jmpose_jax.models.temporal_difference import FeatureDifferenceEncoder
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.records import ClipBatch, TDMIOutput

DEFAULTS: Mapping[str, Any] = FrozenDict()
LABELS = ("backbone", "head")


class AppearanceEncoder(nn.Module):
    """F_a: the supporting frames' last features, aggregated, aligned with the key frame's, and fused with them.

    Four deformable convolutions in a row: the first two refine what steers, the last two move the supporting features.

    Attributes:
      features: channels C.
      offset_groups, mask_activation: as in DeformableSampling.
      dilation: spacing of the taps.
      fusion_blocks: residual blocks of the last fusion.
      kernel_init: initialiser of the kernels.
    """

    features: int = 48
    offset_groups: int = 12
    mask_activation: str = "none"
    dilation: int = 3
    fusion_blocks: int = 3
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, stage: jax.Array, train: bool = False) -> jax.Array:
        """Args: stage [B, T, h, w, C'], the frames in the order of time. Returns: F_a, float32 [B, h, w, C]."""
        if self.dilation < 1 or self.fusion_blocks < 1:
            raise InputError(
                f"appearance_encoder.dilation={self.dilation}, .fusion_blocks={self.fusion_blocks}: at least 1 each"
            )
        size, length, height, width, channels = stage.shape
        key = stage[:, length // 2]
        supports = jnp.delete(stage, length // 2, axis=1)
        supports = jnp.moveaxis(supports, 1, 3).reshape(size, height, width, (length - 1) * channels)

        def blocks(x: jax.Array, count: int, name: str) -> jax.Array:
            return ChainOfBasicBlocks(self.features, count, kernel_init=self.kernel_init, name=name)(x, train)

        def sample(number: int, x: jax.Array, guide: jax.Array) -> jax.Array:
            sampling = DeformableSampling(
                self.features,
                offset_groups=self.offset_groups,
                num_blocks=0,
                mask_activation=self.mask_activation,
                kernel_init=self.kernel_init,
                dilation=self.dilation,
                name=f"sampling{number}",
            )
            return sampling(x, guide, train)

        supports = blocks(supports, 2, "aggregation")
        guide = blocks(jnp.concatenate([supports, key], -1), 1, "guide")
        guide = sample(1, guide, guide)
        guide = sample(2, guide, guide)
        aligned = sample(3, supports, guide)
        aligned = sample(4, aligned, aligned)
        return blocks(jnp.concatenate([key, aligned], -1), self.fusion_blocks, "fusion")


class ChannelWeights(nn.Module):
    """A weight in 0..1 for every channel, from the mean of all channels over the pixels.

    Attributes:
      hidden: width of the layer between.
    """

    hidden: int = 128

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Args: x [B, h, w, C]. Returns: float32 [B, C]."""
        channels = x.shape[-1]
        x = nn.relu(nn.Dense(self.hidden, name="linear1")(jnp.mean(x, (1, 2))))
        return nn.sigmoid(nn.Dense(channels, name="linear2")(x))


class TDMI(nn.Module):
    """Heatmaps of the key frame from a clip of 2δ+1 frames.

    Attributes:
      backbone: the image network: its kind and its options.
      motion_encoder: the multi-stage temporal difference encoder.
      appearance_encoder: F_a, by options.
      channels: C, the width of the features.
      hidden: width of the layer that weighs the channels of motion.
      fusion_blocks: residual blocks over the useful motion and the appearance.
      labels: what reads heatmaps off features for the objective: "backbone", its last layer (as published: the
        features must be as wide as the backbone's last), or "head", this model's.
      kernel_init: "lineage" (kernels from N(0, 0.001)), or "fan_in", with which small models learn sooner.
      backbone_trainable: let gradients and batch statistics reach the backbone; frozen, it runs in evaluation mode.
    """

    backbone: Mapping[str, Any]
    motion_encoder: Mapping[str, Any] = FrozenDict(mask_activation="none")
    appearance_encoder: Mapping[str, Any] = DEFAULTS
    channels: int = 48
    hidden: int = 128
    fusion_blocks: int = 3
    labels: str = "backbone"
    kernel_init: str = "lineage"
    backbone_trainable: bool = False

    PARTS: ClassVar[Mapping[str, Part]] = {
        "backbone": BACKBONE,
        "motion_encoder": Part({"": FeatureDifferenceEncoder}, given=("features", "kernel_init")),
        "appearance_encoder": Part({"": AppearanceEncoder}, given=("features", "kernel_init")),
    }

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> TDMIOutput:
        """Estimate the key frame.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3], δ at least 1.
          train: normalise with the batch's statistics and update the running ones.

        Returns:
          TDMIOutput with heatmaps [B, H/4, W/4, K] and initial_heatmaps [B, 2δ+1, H/4, W/4, K].

        Raises:
          InputError: an option is unknown or does not fit the backbone, or the batch has no neighbours.
        """
        length = batch.frames.shape[1]
        if length < 3 or length % 2 == 0:
            raise InputError(f"TDMI reads clips of 2 delta + 1 frames, delta at least 1; the batch has {length}")
        options = dict(features=self.channels, kernel_init=initializer(self.kernel_init))
        backbone = create_backbone(self.backbone, batch)
        initial, stages = see_every_frame(backbone, batch.frames, train, self.backbone_trainable)

        appearance = self._part("appearance_encoder", options)(stages[-1], train)  # F_a
        motion = self._part("motion_encoder", options)(None, stages, train)  # m
        useful = ChannelWeights(self.hidden, name="useful")(motion)[:, None, None] * motion  # F_m
        noisy = ChannelWeights(self.hidden, name="noisy")(motion)[:, None, None] * motion  # F_n
        fusion = ChainOfBasicBlocks(num_blocks=self.fusion_blocks, name="fusion", **options)
        fused = fusion(jnp.concatenate([useful, appearance], -1), train)  # F
        head = nn.Conv(
            initial.shape[-1],
            (3, 3),
            padding=((1, 1), (1, 1)),
            kernel_init=LINEAGE_INIT,
            conv_general_dilated=conv_general_dilated,
            name="head",
        )
        heatmaps = head(fused)
        read = head if self.labels == "head" else self._last_layer(backbone)
        labels = tuple(jax.lax.stop_gradient(read(x)) for x in (useful, appearance))
        return TDMIOutput(heatmaps, initial, motion, useful, noisy, appearance, fused, *labels)

    def _part(self, name: str, options: Mapping[str, Any]) -> nn.Module:
        return self.PARTS[name].create(getattr(self, name), name=name, **options)

    def _last_layer(self, backbone: nn.Module) -> Any:
        """What makes heatmaps of the backbone's last features, as a function of other features."""
        if self.labels not in LABELS:
            raise InputError(f"labels={self.labels!r}: choose one of {', '.join(LABELS)}")
        layer = backbone.variables["params"].get("final_layer")
        if layer is None or layer["kernel"].shape[:3] != (1, 1, self.channels):
            read = "none" if layer is None else f"one of kernel {list(layer['kernel'].shape[:3])}"
            raise InputError(
                f"labels='backbone' reads heatmaps off features of {self.channels} channels by the backbone's last "
                f"layer, which is {read}: set labels='head', or channels to its width"
            )
        return lambda x: jnp.einsum("bhwc,ck->bhwk", x, layer["kernel"][0, 0], precision="highest") + layer["bias"]

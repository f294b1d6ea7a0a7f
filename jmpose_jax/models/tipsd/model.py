"""TIPSD (Zhang et al., TNNLS 2025), a reconstruction: poses between frames are synthesized and distilled into the key
frame's. The supplement gives the parts' purposes, the objective's weights and results; every formula here is ours."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict

from jmpose_jax.errors import InputError
from jmpose_jax.information.part_predictors import PartPredictors
from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone, see_every_frame
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks
from jmpose_jax.models.jmpose.head import HEAD
from jmpose_jax.models.parts import Part
from jmpose_jax.models.tipsd.part_features import PART_FEATURES, group_maps
from jmpose_jax.models.tipsd.part_groups import joint_names, resolve_groups
from jmpose_jax.models.tipsd.synthesizer import SYNTHESIZER, straight_blend
from jmpose_jax.records import ClipBatch, TIPSDOutput

INITIALIZERS = {"fan_in": DEFAULT_INIT, "lineage": LINEAGE_INIT}
DEFAULTS: Mapping[str, Any] = FrozenDict()
INTERIM = ("synthesized", "blend", "none")
TEST_INTERIM = ("as_trained", "blend")


class TIPSD(nn.Module):
    """Heatmaps of the key frame t from a clip of three frames, and from the poses synthesized at t - ½ and t + ½.

    Every part's width is that of the backbone's finest feature, C.

    Attributes:
      backbone: the image network that makes heatmaps H and features F of every frame.
      synthesizer: options of PoseSynthesizer.
      part_features: options of PartFeatures.
      head: options of DetectionHead; residual adds to the key frame's own heatmaps.
      predictors: options of PartPredictors; None where there are no information terms.
      skeleton: which joints the batch has; `part_groups` are of their names.
      joints: the names themselves, for a data set's own skeleton.
      part_groups: group -> names of joints; empty for arms, legs and head.
      interim: the maps at t ± ½: "synthesized", "blend" (straight, no synthesizer) or "none" (three frames alone).
      interim_at_test: "as_trained", or "blend": the synthesizer, which was trained, is left out of evaluation.
      consistency: train the synthesizer to say the same of the frames in reverse order.
      fusion_blocks: residual blocks over F_t and the groups' features.
      kernel_init: "lineage" (kernels from N(0, 0.001)), or "fan_in".
      backbone_trainable: let gradients and batch statistics reach the backbone; frozen, it runs in evaluation mode.
    """

    backbone: Mapping[str, Any]
    synthesizer: Mapping[str, Any] = DEFAULTS
    part_features: Mapping[str, Any] = DEFAULTS
    head: Mapping[str, Any] = DEFAULTS
    predictors: Mapping[str, Any] | None = DEFAULTS
    skeleton: str = "posetrack15"
    joints: tuple[str, ...] = ()
    part_groups: Mapping[str, tuple[str, ...]] = DEFAULTS
    interim: str = "synthesized"
    interim_at_test: str = "as_trained"
    consistency: bool = True
    fusion_blocks: int = 3
    kernel_init: str = "lineage"
    backbone_trainable: bool = False

    PARTS: ClassVar[Mapping[str, Part]] = {
        "backbone": BACKBONE,
        "synthesizer": SYNTHESIZER,
        "part_features": PART_FEATURES,
        "head": HEAD,
        "predictors": Part({"": PartPredictors}, given=("groups",)),
    }

    AT_TEST: ClassVar[tuple[str, ...]] = ("interim_at_test",)  # an evaluation may choose it for a trained model

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> TIPSDOutput:
        """Estimate the key frame.

        Args:
          batch: clips; frames uint8 [B, 3, H, W, 3].
          train: normalise with the batch's statistics, and synthesize what L_s reads as well.

        Returns:
          TIPSDOutput with heatmaps [B, H/4, W/4, K] and initial_heatmaps [B, 3, H/4, W/4, K].

        Raises:
          InputError: an option is unknown, a part group does not fit the skeleton, or the batch has other frames.
        """
        self._check(batch)
        names = joint_names(self.skeleton, self.joints, batch.keypoints.shape[1])
        groups = resolve_groups(self.part_groups, names)
        backbone = create_backbone(self.backbone, batch)
        heatmaps, stages = see_every_frame(backbone, batch.frames, train, self.backbone_trainable)
        features = stages[-1]  # F
        channels, key = features.shape[-1], features[:, 1]
        init = INITIALIZERS[self.kernel_init]

        maps, seen = heatmaps, features
        interim = skipped = reversed_ = None
        if self.interim != "none":
            interim, skipped, reversed_ = self._interim(heatmaps, features, train)
            between = ChainOfBasicBlocks(channels, 1, kernel_init=init, name="interim_features")
            sides = jnp.stack([jnp.concatenate([key, features[:, side]], -1) for side in (0, 2)], 1)
            sides = between(sides.reshape(-1, *sides.shape[2:]), train).reshape(*sides.shape[:-1], channels)
            maps, seen = _in_order(heatmaps, interim), _in_order(features, sides)
        parts = self._part("part_features", features=channels)(group_maps(maps, groups), seen, train)  # f_g

        fusion = ChainOfBasicBlocks(channels, self.fusion_blocks, kernel_init=init, name="fusion")
        state = fusion(jnp.concatenate([key, *parts], -1), train)
        output = self._part("head", features=channels)(state, heatmaps[:, 1], train)
        predictions = None
        if self.predictors is not None:
            predictions = self._part("predictors", groups=groups)(parts, key)
        return TIPSDOutput(output, heatmaps, interim, skipped, reversed_, parts, key, predictions)

    def _interim(
        self, heatmaps: jax.Array, features: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array | None, jax.Array | None]:
        """Maps at t ± ½ [B, 2, h, w, K]; where training needs them, S(t - 1, t + 1; ½) and the interim ones reversed.

        All pairs of frames pass through the synthesizer at once.
        """
        left_out = self.interim_at_test == "blend" and not train and not self.is_initializing()
        if self.interim == "blend" or left_out:
            blends = [straight_blend(heatmaps[:, a], heatmaps[:, b], 0.5) for a, b in ((0, 1), (1, 2))]
            return jnp.stack(blends, 1), None, None
        pairs = [(0, 1), (1, 2)]
        if train:
            pairs += [(0, 2), *([(1, 0), (2, 1)] if self.consistency else [])]
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))

        def chosen(x: jax.Array, places: list[int]) -> jax.Array:
            return x[:, np.array(places)].reshape(-1, *x.shape[2:])

        synthesizer = self._part("synthesizer", features=features.shape[-1])
        ends = chosen(heatmaps, first), chosen(heatmaps, second)
        made = synthesizer(*ends, chosen(features, first), chosen(features, second), 0.5, train)
        made = made.reshape(heatmaps.shape[0], len(pairs), *made.shape[1:])
        if not train:
            return made, None, None
        return made[:, :2], made[:, 2], made[:, 3:] if self.consistency else None

    def _part(self, name: str, **given: Any) -> nn.Module:
        """The submodule that a part's options describe."""
        widths = dict(kernel_init=INITIALIZERS[self.kernel_init]) if name != "predictors" else {}
        return self.PARTS[name].create(getattr(self, name), name=name, **widths | given)

    def _check(self, batch: ClipBatch) -> None:
        choices = {"kernel_init": INITIALIZERS, "interim": INTERIM, "interim_at_test": TEST_INTERIM}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"model.{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        if batch.frames.shape[1] != 3:
            raise InputError(
                f"TIPSD reads clips of 3 frames, the batch has {batch.frames.shape[1]}: set dataset.delta=1"
            )


def _in_order(frames: jax.Array, between: jax.Array) -> jax.Array:
    """[B, 3, …] at t - 1, t, t + 1 and [B, 2, …] at t ± ½ as [B, 5, …] in the order of time."""
    return jnp.stack([frames[:, 0], between[:, 0], frames[:, 1], between[:, 1], frames[:, 2]], 1)

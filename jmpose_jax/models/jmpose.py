"""JM-Pose (Wu et al., ACM MM 2024): joint-motion mutual learning for pose estimation in videos. Figure 2, in order."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.objective import resolve_estimators
from jmpose_jax.information.predictors import FEATURES, PREDICTOR_INITIALIZERS, InformationPredictors
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, ConvBN, Initializer
from jmpose_jax.models.context_aware_joint_learner import ContextAwareJointLearner
from jmpose_jax.models.heatmap_aggregation import HeatmapAggregation
from jmpose_jax.models.hrnet import HRNet
from jmpose_jax.models.motion import FLOW_SOURCES, FeatureDifferenceEncoder, MotionEncoder, network_flow
from jmpose_jax.models.mutual_learning import MutualLearning
from jmpose_jax.models.raft import RAFT
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.ops.images import normalize
from jmpose_jax.ops.optical_flow import flow_pair_indices
from jmpose_jax.records import ClipBatch, PoseOutput

INITIALIZERS = {"fan_in": DEFAULT_INIT, "lineage": LINEAGE_INIT}
CHOICES = {
    "head": ("paper", "residual"),
    "motion": ("flow", "feature_difference", "last_feature_difference"),
    "kernel_init": tuple(INITIALIZERS),
    "predictor_init": tuple(PREDICTOR_INITIALIZERS),
    "predictor_features": FEATURES,
}


class JMPose(nn.Module):
    """Heatmaps of the key frame from a clip of 2δ+1 frames.

    The defaults are the paper's sizes (section 4.1) and, where it is silent, its lineage's.

    Attributes:
      backbone: keyword arguments of the HRNet that makes the initial heatmaps.
      num_joints: K.
      delta: δ, supporting frames on each side.
      channels: C, the width of J and M.
      num_layers: L, the layers of mutual learning.
      backbone_trainable: let gradients and batch statistics reach the backbone; frozen, it runs in evaluation mode.
      aggregation: as method in HeatmapAggregation.
      alignment: as in HeatmapAggregation. The flow that it reads must be of flow_pairs "support_to_key".
      aligned_share: as in HeatmapAggregation.
      motion: "flow", or "feature_difference" (the variant JM-Pose*, which reads no flow), or the same of the backbone's
        last stage alone, "last_feature_difference".
      motion_blocks: residual blocks behind the flow's stem.
      flow_source: "raft" (computed here, frozen), "batch" (DIS or exact flow from the loader) or "none" (zeros).
      flow_pairs: which frames are paired: "consecutive", "key_to_support" or "support_to_key", as in
        `ops.optical_flow.flow_pair_indices`; that of the loader where the flow comes from there.
      flow_scale: crop pixels that become 1 at the input of the motion encoder.
      flow_network, flow_iterations: keyword arguments of RAFT and its number of refinements.
      offset_groups, mask_activation: as in DeformableSampling.
      context_blocks, offset_blocks, sampling_dilation: residual blocks of Eq. 2, of Eq. 3 and 4 each, and the spacing
        of the taps of Eq. 5.
      attention, heads, qkv, qkv_kernel, gate: as in JointMotionInteraction.
      interaction_blocks: residual blocks of Eq. 6.
      fusion_blocks: blocks that make S_t from J^L and M^L.
      head: "paper" (heatmaps from S_t alone) or "residual" (added to Ĥ_t, starting at zero).
      head_blocks: 3x3 convolutions with normalisation and activation before the last one.
      use_cjl, use_jmml, use_jmib: the ablations. Without CJL, J_t is a projection of Ĥ_t; without JMML the head reads
        J_t alone; without JMIB the head reads J_t and M_t, which the information terms then see.
      predictors: add the variational predictors that the information terms need.
      estimators: term -> estimator of the information terms, as in `orthogonality_terms`; says which predictors.
      predictor_init, predictor_features: kernel_init and features of InformationPredictors.
      kernel_init: "lineage" (kernels from N(0, 0.001)), or "fan_in", with which small models learn sooner.
    """

    backbone: Mapping[str, Any]
    num_joints: int = 15
    delta: int = 2
    channels: int = 48
    num_layers: int = 4
    backbone_trainable: bool = False
    aggregation: str = "rsb"
    alignment: str = "none"
    aligned_share: float = 0.5
    motion: str = "flow"
    motion_blocks: int = 4
    flow_source: str = "raft"
    flow_pairs: str = "consecutive"
    flow_scale: float = 8.0
    flow_network: Mapping[str, Any] | None = None
    flow_iterations: int = 20
    offset_groups: int = 12
    mask_activation: str = "sigmoid"
    context_blocks: int = 1
    offset_blocks: int = 1
    sampling_dilation: int = 1
    attention: str = "channel"
    heads: int = 1
    qkv: str = "independent"
    qkv_kernel: int = 3
    gate: str = "conv"
    interaction_blocks: int = 1
    fusion_blocks: int = 3
    head: str = "paper"
    head_blocks: int = 0
    use_cjl: bool = True
    use_jmml: bool = True
    use_jmib: bool = True
    predictors: bool = True
    estimators: Mapping[str, str] | None = None
    predictor_init: str = "fan_in"
    predictor_features: str = "raw"
    kernel_init: str = "lineage"

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> PoseOutput:
        """Estimate the key frame.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3]; flow where flow_source is "batch".
          train: normalise with the batch's statistics and update the running ones.

        Returns:
          PoseOutput with heatmaps [B, H/4, W/4, K], initial_heatmaps [B, 2δ+1, H/4, W/4, K] and features
          "aggregated_heatmaps" Ĥ_t, "flow" (None for feature differences), "motion" M_t, "joint" J_t, "joint_layers"
          and "motion_layers" (J^i and M^i, i = 1 … L) and "predictors" (what the information terms read, a layer each).

        Raises:
          InputError: an option is unknown, options contradict each other, or the batch does not fit them.
        """
        self._check(batch)
        init = INITIALIZERS[self.kernel_init]
        heatmaps, stages = self._initial_heatmaps(batch.frames, train)
        size = heatmaps.shape[2:4]
        flow = self._flow(batch, size)

        aggregation = HeatmapAggregation(
            self.aggregation,
            self.alignment,
            self.aligned_share,
            features=2 * self.channels,
            kernel_init=init,
            name="heatmap_aggregation",
        )
        # Zero flow would tell JointMotion that all joints rest; None tells it that nothing is known.
        known = None if (self.flow_source, self.alignment) == ("none", "joint_motion") else flow
        aggregated = aggregation(heatmaps, known, batch.frames.shape[2] / size[0], train)

        if self.motion == "flow":
            encoder = MotionEncoder(self.channels, self.motion_blocks, self.flow_scale, init, name="motion_encoder")
            motion = encoder(flow, size, train)
        else:
            options = (self.channels, self.offset_groups, self.mask_activation, init)
            compared = stages[-1:] if self.motion == "last_feature_difference" else stages
            motion = FeatureDifferenceEncoder(*options, name="motion_encoder")(compared, train)

        joint = self._joint_features(aggregated, motion, init, train)
        joints, motions = [], []
        if self.use_jmml:
            joints, motions = self._mutual_learning(joint, motion, init, train)

        output = self._head(joints, motions, joint, aggregated, init, train)
        predictors = []
        if self.predictors:
            estimators = resolve_estimators(self.estimators)
            options = (self.num_joints, estimators, self.predictor_init, self.predictor_features)
            for i, (j, m) in enumerate(zip(joints, motions), start=1):
                predictors.append(InformationPredictors(*options, name=f"predictors{i}")(j, m))
        features = {
            "aggregated_heatmaps": aggregated,
            "flow": flow,
            "motion": motion,
            "joint": joint,
            "joint_layers": joints,
            "motion_layers": motions,
            "predictors": predictors,
        }
        return PoseOutput(heatmaps=output, initial_heatmaps=heatmaps, features=features)

    def _initial_heatmaps(self, frames: jax.Array, train: bool) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """H of every frame [B, T, h, w, K], and the finest features of the backbone's stages, each [B, T, h, w, C']."""
        batch, length, *image = frames.shape
        network = HRNet(**{"num_joints": self.num_joints} | dict(self.backbone), name="backbone")
        images = normalize(frames).reshape(batch * length, *image)
        heatmaps, features = network(images, train and self.backbone_trainable, return_features=True)
        names = ["transition1"] + sorted(name for name in features if name.startswith("stage"))
        maps = [heatmaps] + [features[name][0] for name in names]
        maps = [m.reshape(batch, length, *m.shape[1:]) for m in maps]
        if not self.backbone_trainable:
            maps = jax.lax.stop_gradient(maps)
        return maps[0], tuple(maps[1:])

    def _flow(self, batch: ClipBatch, size: tuple[int, int]) -> jax.Array | None:
        """The flow of all pairs [B, 2δ, H/s, W/s, 2], or None where nothing reads it."""
        if self.motion != "flow" and self.alignment == "none":
            return None
        if self.flow_source == "batch":
            return batch.flow
        if self.flow_source == "none":
            return jnp.zeros((batch.frames.shape[0], 2 * self.delta, *size, 2))
        pairs = flow_pair_indices(self.delta, self.flow_pairs)
        network = RAFT(**(self.flow_network or {}), name="flow_network")
        return network_flow(network, batch.frames, pairs, iterations=self.flow_iterations)

    def _joint_features(self, aggregated: jax.Array, motion: jax.Array, init: Initializer, train: bool) -> jax.Array:
        """J_t by the context-aware joint learner; without it a projection of the aggregated heatmaps."""
        if self.use_cjl:
            options = (self.channels, self.offset_groups, self.mask_activation, init)
            options += (self.context_blocks, self.offset_blocks, self.sampling_dilation)
            return ContextAwareJointLearner(*options, name="context_aware_joint_learner")(aggregated, motion, train)
        return ChainOfBasicBlocks(self.channels, 1, kernel_init=init, name="joint_projection")(aggregated, train)

    def _mutual_learning(
        self, joint: jax.Array, motion: jax.Array, init: Initializer, train: bool
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """J^i and M^i of every layer; without interaction blocks J_t and M_t count as the only layer."""
        if not self.use_jmib:
            return [joint], [motion]
        options = (self.num_layers, self.attention, self.heads, self.qkv_kernel, self.gate, init)
        options += (self.interaction_blocks, self.qkv)
        return MutualLearning(*options, name="mutual_learning")(joint, motion, train)

    def _head(
        self,
        joints: list[jax.Array],
        motions: list[jax.Array],
        joint: jax.Array,
        aggregated: jax.Array,
        init: Initializer,
        train: bool,
    ) -> jax.Array:
        """S_t of Eq. 14 and the detection head of 3x3 convolutions."""
        x = joint
        if joints:
            x = jnp.concatenate([joints[-1], motions[-1]], -1)
            x = ChainOfBasicBlocks(self.channels, self.fusion_blocks, kernel_init=init, name="fusion")(x, train)
        for i in range(self.head_blocks):
            x = ConvBN(self.channels, activation=nn.relu, kernel_init=init, name=f"head{i + 1}")(x, train)
        last = nn.initializers.zeros if self.head == "residual" else LINEAGE_INIT
        options = dict(padding=((1, 1), (1, 1)), kernel_init=last, conv_general_dilated=conv_general_dilated)
        x = nn.Conv(self.num_joints, (3, 3), name="head", **options)(x)
        return x + aggregated if self.head == "residual" else x

    def _check(self, batch: ClipBatch) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(choices)}")
        if self.flow_source not in FLOW_SOURCES:
            raise InputError(f"flow_source={self.flow_source!r}: choose one of {', '.join(FLOW_SOURCES)}")
        joints = self.backbone.get("num_joints", self.num_joints)
        if joints != self.num_joints:
            raise InputError(f"num_joints={self.num_joints} but the backbone has num_joints={joints}: make them equal")
        counts = ("context_blocks", "sampling_dilation", "interaction_blocks", "fusion_blocks")
        if few := [name for name in counts if getattr(self, name) < 1]:
            raise InputError(f"{few[0]}={getattr(self, few[0])} must be at least 1")
        if min(self.delta, self.num_layers) < 1:
            raise InputError(f"delta={self.delta} and num_layers={self.num_layers} must be at least 1")
        pairs = flow_pair_indices(self.delta, self.flow_pairs)
        if self.alignment != "none" and self.flow_pairs != "support_to_key":
            raise InputError(
                f"alignment={self.alignment!r} moves each supporting frame's maps by its flow towards the key frame: "
                f"set flow_pairs='support_to_key' (it is {self.flow_pairs!r})"
            )
        length = batch.frames.shape[1]
        if length != 2 * self.delta + 1:
            raise InputError(f"delta={self.delta} needs clips of {2 * self.delta + 1} frames, the batch has {length}")
        if self.flow_source == "batch" and (self.motion == "flow" or self.alignment != "none"):
            if batch.flow is None:
                raise InputError(
                    "flow_source='batch' but the batch has no flow: set dataset.flow_source to dis or exact"
                )
            if batch.flow.ndim != 5 or batch.flow.shape[1] != len(pairs) or batch.flow.shape[-1] != 2:
                raise InputError(
                    f"batch.flow is {list(batch.flow.shape)}; delta={self.delta} needs [B, {len(pairs)}, h, w, 2]"
                )

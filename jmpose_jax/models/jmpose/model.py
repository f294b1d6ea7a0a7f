"""JM-Pose (Wu et al., ACM MM 2024): joint-motion mutual learning for pose estimation in videos. Figure 2, in order."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
from flax.core import FrozenDict

from jmpose_jax.errors import InputError
from jmpose_jax.information.predictors import InformationPredictors
from jmpose_jax.models.backbones.networks import BACKBONE, create_backbone, see_every_frame
from jmpose_jax.models.blocks import initializer
from jmpose_jax.models.flow import FLOW_NETWORK, read_flow
from jmpose_jax.models.jmpose.context_aware_joint_learner import JOINT_LEARNER
from jmpose_jax.models.jmpose.head import FUSION, HEAD
from jmpose_jax.models.jmpose.heatmap_aggregation import HEATMAP_AGGREGATION
from jmpose_jax.models.jmpose.motion import MOTION_ENCODER
from jmpose_jax.models.jmpose.mutual_learning import MUTUAL_LEARNING
from jmpose_jax.models.parts import Part
from jmpose_jax.records import ClipBatch, JMPoseOutput

DEFAULTS: Mapping[str, Any] = FrozenDict()


class JMPose(nn.Module):
    """Heatmaps of the key frame from a clip of 2δ+1 frames.

    The tree of its options is the tree of its modules: each part has a mapping of its own, and the ablations are other
    kinds of a part. The defaults are the paper's sizes (section 4.1) and, where it is silent, its lineage's. The joints
    K, δ and the pairs of frames that flow goes between are those of the batch.

    Attributes:
      backbone: the image network that makes the initial heatmaps: its kind and its options.
      flow_network: RAFT, which is not trained here; None reads the flow of the batch.
      heatmap_aggregation: Ĥ_t from the heatmaps of all frames.
      motion_encoder: M_t: "flow", "feature_difference" (JM-Pose*, which reads no flow) or "zero_flow".
      context_aware_joint_learner: J_t: "deformable", or "projection" without CJL.
      mutual_learning: the layers of JMML: "interaction", "identity" without JMIB, or "none" without JMML.
      fusion: S_t from J^L and M^L.
      head: heatmaps from S_t, or from J_t where there is no layer.
      predictors: what the information terms need, for each layer; None for none.
      channels: C, the width of J and M.
      kernel_init: "lineage" (kernels from N(0, 0.001)), or "fan_in", with which small models learn sooner.
      backbone_trainable: let gradients and batch statistics reach the backbone; frozen, it runs in evaluation mode.
    """

    backbone: Mapping[str, Any]
    flow_network: Mapping[str, Any] | None = DEFAULTS
    heatmap_aggregation: Mapping[str, Any] = DEFAULTS
    motion_encoder: Mapping[str, Any] = DEFAULTS
    context_aware_joint_learner: Mapping[str, Any] = DEFAULTS
    mutual_learning: Mapping[str, Any] = DEFAULTS
    fusion: Mapping[str, Any] = DEFAULTS
    head: Mapping[str, Any] = DEFAULTS
    predictors: Mapping[str, Any] | None = DEFAULTS
    channels: int = 48
    kernel_init: str = "lineage"
    backbone_trainable: bool = False

    PARTS: ClassVar[Mapping[str, Part]] = {
        "backbone": BACKBONE,
        "flow_network": FLOW_NETWORK,
        "heatmap_aggregation": HEATMAP_AGGREGATION,
        "motion_encoder": MOTION_ENCODER,
        "context_aware_joint_learner": JOINT_LEARNER,
        "mutual_learning": MUTUAL_LEARNING,
        "fusion": FUSION,
        "head": HEAD,
        "predictors": Part({"": InformationPredictors}, given=("num_joints",)),
    }

    @nn.compact
    def __call__(self, batch: ClipBatch, train: bool = False) -> JMPoseOutput:
        """Estimate the key frame.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3], δ at least 1; flow where it is read and there is no network.
          train: normalise with the batch's statistics and update the running ones.

        Returns:
          JMPoseOutput with heatmaps [B, H/4, W/4, K] and initial_heatmaps [B, 2δ+1, H/4, W/4, K].

        Raises:
          InputError: an option is unknown, options contradict each other, or the batch does not fit them.
        """
        self._check(batch)
        backbone = create_backbone(self.backbone, batch)
        heatmaps, stages = see_every_frame(backbone, batch.frames, train, self.backbone_trainable)  # H

        aggregation = self._part("heatmap_aggregation", features=2 * self.channels)
        if aggregation.reads_flow and batch.flow_pairs != "support_to_key":
            raise InputError(
                f"heatmap_aggregation.alignment={aggregation.alignment!r} moves each supporting frame's maps by its "
                f"flow towards the key frame: set flow_pairs='support_to_key' (it is {batch.flow_pairs!r})"
            )
        encoder = self._part("motion_encoder")
        flow = None
        if aggregation.reads_flow or encoder.reads_flow:
            flow = read_flow(batch, None if self.flow_network is None else self._part("flow_network"))

        aggregated = aggregation(heatmaps, flow, batch.frames.shape[2] / heatmaps.shape[2], train)  # Ĥ_t
        motion = encoder(flow, stages, train)  # M_t, Eq. 1
        joint = self._part("context_aware_joint_learner")(aggregated, motion, train)  # J_t, Eq. 2 to 5
        layers = self._part("mutual_learning")(joint, motion, train)  # J^i and M^i, Eq. 6 to 10
        state = self._part("fusion")(*layers[-1], train) if layers else joint  # S_t, Eq. 14
        output = self._part("head")(state, aggregated, train)

        predictions = []
        for i, layer in enumerate(layers if self.predictors is not None else (), start=1):
            options = dict(num_joints=aggregated.shape[-1])
            predictors = self.PARTS["predictors"].create(self.predictors, name=f"predictors{i}", **options)
            predictions.append(predictors(*layer))
        return JMPoseOutput(output, heatmaps, aggregated, flow, motion, joint, layers, tuple(predictions))

    def _part(self, name: str, **given: Any) -> nn.Module:
        """The submodule that a part's options describe."""
        widths = dict(features=self.channels, kernel_init=initializer(self.kernel_init))
        return self.PARTS[name].create(getattr(self, name), name=name, **widths | given)

    def _check(self, batch: ClipBatch) -> None:
        initializer(self.kernel_init)
        length = batch.frames.shape[1]
        if length < 3 or length % 2 == 0:
            raise InputError(f"JM-Pose reads clips of 2 delta + 1 frames, delta at least 1; the batch has {length}")

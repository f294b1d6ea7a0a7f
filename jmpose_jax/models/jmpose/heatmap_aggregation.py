"""Aggregated heatmaps Ĥ_t: what the 2δ+1 frames of a clip say together about the joints of the key frame."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import (
    DEFAULT_INIT,
    LINEAGE_INIT,
    ChainOfBasicBlocks,
    ChainOfRSBBlocks,
    ConvBN,
    Initializer,
    same_padding,
)
from jmpose_jax.models.jmpose.joint_motion import JointMotion, flow_displacement
from jmpose_jax.models.parts import Part
from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.ops.resample import translate

METHODS = ("rsb", "inverse_distance", "conv", "conv1x1", "fixed", "residual")
ALIGNMENTS = ("none", "joint_flow", "joint_motion", "joint_trajectory")
READING_FLOW = ("joint_flow", "joint_motion")

# PoseWarper's weights of the key frame and of the neighbours at distance one and two; their sum over δ = 2 is 1.
FRAME_WEIGHTS = (0.3, 0.25, 0.1)


def frame_weights(delta: int) -> np.ndarray:
    """float32 [2δ+1], in the order of time, sum 1: PoseWarper's weights, halved with every frame beyond its reach."""
    distance = np.abs(np.arange(-delta, delta + 1))
    known = np.array(FRAME_WEIGHTS)
    last = len(known) - 1
    weights = known[np.minimum(distance, last)] * 0.5 ** np.maximum(distance - last, 0)
    return (weights / weights.sum()).astype(np.float32)


def inverse_distances(delta: int) -> np.ndarray:
    """float32 [2δ], the supporting frames in the order of time, sum 1: the reciprocal distance from the key frame."""
    distance = np.abs(np.delete(np.arange(-delta, delta + 1), delta)).astype(np.float32)
    return 1 / distance / np.sum(1 / distance)


class Refinement(nn.Module):
    """A residual change of heatmaps by convolutions at their size and at half of it; it starts at zero.

    The coarse scale sees most of a person at once, which is what tells a left knee from a right one.

    Attributes:
      features: width at full size; twice that at half size.
      coarse_blocks: residual blocks at half size.
      kernel_init: initialiser of the kernels.
    """

    features: int = 32
    coarse_blocks: int = 2
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, heatmaps: jax.Array, train: bool = False) -> jax.Array:
        """Args: heatmaps [B, h, w, K]; train: batch statistics. Returns: the refined heatmaps [B, h, w, K]."""
        height, width, joints = heatmaps.shape[1:]
        blocks = functools.partial(ChainOfBasicBlocks, kernel_init=self.kernel_init)
        fine = ConvBN(self.features, activation=nn.relu, kernel_init=self.kernel_init, name="stem")(heatmaps, train)
        even = jnp.pad(fine, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        coarse = nn.avg_pool(even, (2, 2), (2, 2), padding="VALID")
        coarse = blocks(2 * self.features, self.coarse_blocks, name="coarse")(coarse, train)
        coarse = jnp.repeat(jnp.repeat(coarse, 2, 1), 2, 2)[:, :height, :width]
        x = blocks(self.features, 1, name="fine")(jnp.concatenate([coarse, fine], -1), train)
        return heatmaps + nn.Conv(
            joints,
            (1, 1),
            padding=((0, 0), (0, 0)),
            kernel_init=nn.initializers.zeros,
            conv_general_dilated=conv_general_dilated,
            name="change",
        )(x)


class HeatmapAggregation(nn.Module):
    """Ĥ_t from the heatmaps of all frames.

    With alignment, each supporting map is first moved as a whole by the motion of its joint. A joint hidden in the key
    frame but seen in a neighbour is so carried behind the occluder by the motion it is seen to have; warping by the key
    frame's flow cannot do that, for there the flow is the occluder's.

    Attributes:
      method: "rsb" (the lineage's residual steps block over all maps), "inverse_distance" (the same, the supporting
        maps first multiplied with `inverse_distances`, as in DCPose), "conv" (one 3x3 convolution), "conv1x1" (one 1x1
        convolution), "fixed" (the weighted average alone) or "residual" (the average, plus learned parts that start at
        zero: for each joint new weights from how sure the maps are and how far they agree, then `Refinement`).
      alignment: "none", "joint_flow" (the flow that the joint sees), "joint_motion" (what `JointMotion` makes of flow
        and trajectories) or "joint_trajectory" (the same of trajectories alone, without flow).
      aligned_share: with alignment, the part of a supporting frame's weight that its moved map starts with; the map as
        it stands has the rest. The two fail differently: at an occluder's rim the flow is the occluder's, and away from
        it a joint that moves fast is where the flow says. Half of each is better than either on the embedded data set.
      features: width of the convolutions of "residual".
      kernel_init: initialiser of the kernels.
    """

    method: str = "rsb"
    alignment: str = "none"
    aligned_share: float = 0.5
    features: int = 32
    kernel_init: Initializer = DEFAULT_INIT

    @property
    def reads_flow(self) -> bool:
        return self.alignment in READING_FLOW

    @nn.compact
    def __call__(
        self, heatmaps: jax.Array, flow: jax.Array | None = None, stride: float = 4.0, train: bool = False
    ) -> jax.Array:
        """Aggregate.

        Args:
          heatmaps: float32 [B, T, h, w, K], in the order of time.
          flow: float32 [B, T-1, H/s, W/s, 2], support to key, crop pixels; read where `reads_flow`.
          stride: crop pixels per heatmap pixel.
          train: batch statistics instead of running ones.

        Returns:
          float32 [B, h, w, K].

        Raises:
          InputError: an unknown option, or alignment without flow.
        """
        if self.method not in METHODS:
            raise InputError(f"heatmap_aggregation.method={self.method!r}: choose one of {', '.join(METHODS)}")
        if self.alignment not in ALIGNMENTS:
            raise InputError(f"heatmap_aggregation.alignment={self.alignment!r}: choose one of {', '.join(ALIGNMENTS)}")
        if self.reads_flow and flow is None:
            raise InputError(f"heatmap_aggregation.alignment={self.alignment!r} needs flow")
        delta = heatmaps.shape[1] // 2
        joints = heatmaps.shape[-1]
        key = heatmaps[:, delta : delta + 1]
        supports = jnp.concatenate([heatmaps[:, :delta], heatmaps[:, delta + 1 :]], 1)
        weights = np.delete(frame_weights(delta), delta)
        stack, base = [key, supports], np.concatenate([[frame_weights(delta)[delta]], weights])
        displacement = None
        if self.alignment == "joint_flow":
            displacement = flow_displacement(supports, flow, stride)
        elif self.alignment != "none":
            known = flow if self.reads_flow else None
            displacement = JointMotion(name="joint_motion")(heatmaps, known, stride)
        if displacement is not None:
            stack.append(translate(supports, displacement))
            share = self.aligned_share
            base = np.concatenate([base[:1], (1 - share) * weights, share * weights])
        maps = jnp.concatenate(stack, 1)  # key, supports, supports aligned
        average = jnp.einsum("bshwk,s->bhwk", maps, base.astype(np.float32))
        if self.method == "fixed":
            return average

        if self.method == "residual":
            average = average + self._reweighted(maps, average, displacement)
            return Refinement(self.features, kernel_init=self.kernel_init, name="refinement")(average, train)
        if self.method == "inverse_distance":
            near = inverse_distances(delta)
            maps = maps * np.concatenate([[1.0], *[near] * (len(stack) - 1)]).astype(np.float32)[:, None, None, None]
        # Joint by joint: the maps of one joint stand next to each other among the channels.
        batch, count, height, width, _ = maps.shape
        channels = jnp.moveaxis(maps, 1, -1).reshape(batch, height, width, joints * count)
        if self.method in ("rsb", "inverse_distance"):
            return ChainOfRSBBlocks(joints, 1, kernel_init=self.kernel_init, name="blocks")(channels, train)
        size = 1 if self.method == "conv1x1" else 3
        return nn.Conv(
            joints,
            (size, size),
            padding=same_padding(size),
            kernel_init=LINEAGE_INIT,
            conv_general_dilated=conv_general_dilated,
            name="conv",
        )(channels)

    def _reweighted(self, maps: jax.Array, average: jax.Array, displacement: jax.Array | None) -> jax.Array:
        """Σ_s Δw_s map_s with Δw by joint from the maps' peaks, their agreement with the average, their motion."""
        average = average[:, None]
        scale = jnp.sqrt(jnp.sum(maps**2, (2, 3)) * jnp.sum(average**2, (2, 3)) + 1e-6)
        evidence = [jnp.max(maps, (2, 3)), jnp.sum(maps * average, (2, 3)) / scale]  # [B, S, K] each
        if displacement is not None:
            evidence.append(jnp.linalg.norm(displacement + 1e-6, axis=-1) / 4)
        x = jnp.swapaxes(jnp.concatenate(evidence, 1), 1, 2)  # [B, K, evidence]: the same small network for each joint
        for i in (1, 2):
            x = nn.relu(nn.Dense(24, name=f"evidence{i}")(x))
        change = nn.Dense(maps.shape[1], kernel_init=nn.initializers.zeros, name="weights")(x)
        return jnp.einsum("bshwk,bks->bhwk", maps, change)


HEATMAP_AGGREGATION = Part({"": HeatmapAggregation}, given=("features", "kernel_init"))

"""Aggregated heatmaps Ĥ_t: what the 2δ+1 frames of a clip say together about the joints of the key frame."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import DEFAULT_INIT, LINEAGE_INIT, ChainOfBasicBlocks, ChainOfRSBBlocks, Initializer
from jmpose_jax.ops.resample import flow_on_heatmap_grid, peak_mean, translate

METHODS = ("rsb", "conv", "fixed", "residual")
ALIGNMENTS = ("none", "joint_flow")

# PoseWarper's weights of the key frame and of the neighbours at distance one and two; their sum over δ = 2 is 1.
FRAME_WEIGHTS = (0.3, 0.25, 0.1)


def frame_weights(delta: int) -> np.ndarray:
    """float32 [2δ+1], in the order of time, sum 1: PoseWarper's weights, halved with every frame beyond its reach."""
    distance = np.abs(np.arange(-delta, delta + 1))
    known = np.array(FRAME_WEIGHTS)
    last = len(known) - 1
    weights = known[np.minimum(distance, last)] * 0.5 ** np.maximum(distance - last, 0)
    return (weights / weights.sum()).astype(np.float32)


def joint_displacement(heatmaps: jax.Array, flow: jax.Array, stride: float) -> jax.Array:
    """How far each joint moves from a supporting frame to the key frame, by the flow at the place where it is seen.

    Args:
      heatmaps: float32 [B, T-1, h, w, K], of the supporting frames.
      flow: float32 [B, T-1, H/s, W/s, 2], on the pixels of the supporting frame, towards the key frame, crop pixels.
      stride: crop pixels per heatmap pixel.

    Returns:
      float32 [B, T-1, K, 2], (x, y) in heatmap pixels.
    """
    return peak_mean(heatmaps, flow_on_heatmap_grid(flow, heatmaps.shape[2:4])) / stride


class HeatmapAggregation(nn.Module):
    """Ĥ_t from the heatmaps of all frames.

    With alignment, each supporting map is first moved as a whole by the flow that its own joint sees. A joint hidden in
    the key frame but seen in a neighbour is so carried behind the occluder by the motion it is seen to have; warping
    by the key frame's flow cannot do that, for there the flow is the occluder's.

    Attributes:
      method: "rsb" (the lineage's residual steps block over all maps), "conv" (one 3x3 convolution), "fixed" (the
        weighted average alone) or "residual" (the average, plus a learned part that starts at zero: new weights from
        how sure each map is and how far it agrees with the key frame's, and convolutions over all maps).
      alignment: "none" or "joint_flow".
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

    @nn.compact
    def __call__(
        self, heatmaps: jax.Array, flow: jax.Array | None = None, stride: float = 4.0, train: bool = False
    ) -> jax.Array:
        """Aggregate.

        Args:
          heatmaps: float32 [B, T, h, w, K], in the order of time.
          flow: float32 [B, T-1, H/s, W/s, 2], support to key, crop pixels; read by "joint_flow" only.
          stride: crop pixels per heatmap pixel.
          train: batch statistics instead of running ones.

        Returns:
          float32 [B, h, w, K].

        Raises:
          InputError: an unknown option, or alignment without flow.
        """
        if self.method not in METHODS:
            raise InputError(f"aggregation={self.method!r}: choose one of {', '.join(METHODS)}")
        if self.alignment not in ALIGNMENTS:
            raise InputError(f"alignment={self.alignment!r}: choose one of {', '.join(ALIGNMENTS)}")
        delta = heatmaps.shape[1] // 2
        joints = heatmaps.shape[-1]
        key = heatmaps[:, delta : delta + 1]
        supports = jnp.concatenate([heatmaps[:, :delta], heatmaps[:, delta + 1 :]], 1)
        weights = np.delete(frame_weights(delta), delta)
        stack, base = [key, supports], np.concatenate([[frame_weights(delta)[delta]], weights])
        displacement = None
        if self.alignment == "joint_flow":
            if flow is None:
                raise InputError("alignment='joint_flow' needs flow: set flow_source to raft, or to dis or exact")
            displacement = joint_displacement(supports, flow, stride)
            stack.append(translate(supports, displacement))
            share = self.aligned_share
            base = np.concatenate([base[:1], (1 - share) * weights, share * weights])
        maps = jnp.concatenate(stack, 1)  # key, supports, supports aligned
        average = jnp.einsum("bshwk,s->bhwk", maps, base.astype(np.float32))
        if self.method == "fixed":
            return average

        # Joint by joint: the maps of one joint stand next to each other among the channels.
        batch, count, height, width, _ = maps.shape
        channels = jnp.moveaxis(maps, 1, -1).reshape(batch, height, width, joints * count)
        if self.method == "rsb":
            return ChainOfRSBBlocks(joints, 1, kernel_init=self.kernel_init, name="blocks")(channels, train)
        if self.method == "conv":
            pad = ((1, 1), (1, 1))
            return nn.Conv(joints, (3, 3), padding=pad, kernel_init=LINEAGE_INIT, name="conv")(channels)
        zeros = nn.initializers.zeros
        change = self._reweighted(maps, stack[-1], displacement)
        x = ChainOfBasicBlocks(self.features, 1, kernel_init=self.kernel_init, name="blocks")(channels, train)
        return average + change + nn.Conv(joints, (1, 1), kernel_init=zeros, name="residual")(x)

    def _reweighted(self, maps: jax.Array, moved: jax.Array, displacement: jax.Array | None) -> jax.Array:
        """Σ_s Δw_s map_s with Δw by joint from the maps' peaks, their agreement with the key frame, their motion."""
        key = maps[:, :1]
        peaks = jnp.max(maps[:, : moved.shape[1] + 1], (2, 3))  # [B, T, K]
        scale = jnp.sqrt(jnp.sum(key**2, (2, 3)) * jnp.sum(moved**2, (2, 3)) + 1e-6)
        agreement = jnp.sum(key * moved, (2, 3)) / scale  # [B, T-1, K]
        evidence = [peaks, agreement]
        if displacement is not None:
            evidence.append(jnp.linalg.norm(displacement + 1e-6, axis=-1) / 4)
        x = jnp.swapaxes(jnp.concatenate(evidence, 1), 1, 2)  # [B, K, evidence]: the same small network for each joint
        x = nn.relu(nn.Dense(16, name="evidence")(x))
        change = nn.Dense(maps.shape[1], kernel_init=nn.initializers.zeros, name="weights")(x)
        return jnp.einsum("bshwk,bks->bhwk", maps, change)

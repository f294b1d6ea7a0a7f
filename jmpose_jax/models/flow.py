"""The optical flow that a model reads: its network's, or that which comes with the batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.parts import Part
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.ops.optical_flow import flow_pair_indices
from jmpose_jax.records import ClipBatch

FLOW_NETWORK = Part({"raft": RAFT})


def paired_frames(batch: ClipBatch) -> tuple[jax.Array, jax.Array]:
    """The frames of every pair of `batch.flow_pairs`, both uint8 [B, 2δ, H, W, 3].

    Raises:
      InputError: the clips have not 2δ+1 frames with δ at least 1, or the pairs are unknown.
    """
    length = batch.frames.shape[1]
    if length < 3 or length % 2 == 0:
        raise InputError(f"flow goes between the frames of clips: 3, 5, … frames are needed, the batch has {length}")
    pairs = np.array(flow_pair_indices(length // 2, batch.flow_pairs))
    return batch.frames[:, pairs[:, 0]], batch.frames[:, pairs[:, 1]]


def read_flow(batch: ClipBatch, network: nn.Module | None = None) -> jax.Array:
    """The flow of all pairs of `batch.flow_pairs`; no gradient passes to the network.

    Args:
      batch: clips.
      network: called as network(image1, image2) with RGB in 0..255, float32 [N, H, W, 3]; without one the batch's flow
        is read.

    Returns:
      float32 [B, 2δ, H/s, W/s, 2], crop pixels; s = 1 of a network.

    Raises:
      InputError: as `paired_frames`; there is neither a network nor a flow, or the flow is of other pairs.
    """
    first, second = paired_frames(batch)
    size, pairs, *image = first.shape
    if network is not None:
        images = (frames.reshape(size * pairs, *image).astype(jnp.float32) for frames in (first, second))
        flow = network(*images)
        return jax.lax.stop_gradient(flow.reshape(size, pairs, *image[:2], 2))
    if batch.flow is None:
        raise InputError(
            "the model reads flow, but the batch has none and there is no flow_network: set flow_source to dis or "
            "exact, or give the model a flow_network"
        )
    if batch.flow.ndim != 5 or batch.flow.shape[1] != pairs or batch.flow.shape[-1] != 2:
        raise InputError(
            f"batch.flow is {list(batch.flow.shape)}; clips of {pairs + 1} frames need [B, {pairs}, h, w, 2]"
        )
    return batch.flow

"""RAFT on the frame pairs of clips: how it is trained and evaluated where a data set knows the exact flow."""

import flax.linen as nn
import jax
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.models.raft import RAFT
from jmpose_jax.ops.optical_flow import flow_pair_indices
from jmpose_jax.records import ClipBatch, FlowOutput


class ClipFlow(nn.Module):
    """The flow of all pairs of a clip.

    Its variables are RAFT's own, without a name around them: what it learns serves as RAFT's weights wherever RAFT
    stands in a model, and converted weights can be evaluated by it.

    Attributes:
      size: "basic" or "small", as in RAFT.
      delta: δ, supporting frames on each side.
      flow_pairs: which frames are paired: "consecutive", "key_to_support" or "support_to_key", as in
        `ops.optical_flow.flow_pair_indices`.
      iterations: refinements.
      lookup: as in RAFT.
      remat: as in RAFT.
      initialization: as in RAFT.
    """

    size: str = "basic"
    delta: int = 2
    flow_pairs: str = "consecutive"
    iterations: int = 12
    lookup: str | None = None
    remat: bool = False
    initialization: str = "published"

    def setup(self) -> None:
        self.network = RAFT(self.size, self.lookup, self.remat, self.initialization)
        nn.share_scope(self, self.network)

    def __call__(self, batch: ClipBatch, train: bool = False) -> FlowOutput:
        """Estimate the flow.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3].
          train: return every iteration's flow, and normalise the context encoder with the batch's statistics.

        Returns:
          FlowOutput with flow [N, B, 2δ, H, W, 2], N the iterations in training and 1 otherwise.

        Raises:
          InputError: the clips have another number of frames, or an option is unknown.
        """
        pairs = np.array(flow_pair_indices(self.delta, self.flow_pairs)).reshape(-1, 2)
        length = batch.frames.shape[1]
        if not len(pairs) or length != 2 * self.delta + 1:
            raise InputError(
                f"config.model.delta={self.delta}: RAFT is trained on clips of 2 delta + 1 frames with delta at least "
                f"1, the batch has clips of {length}; set config.dataset.delta to the same"
            )
        first, second = (flatten_pairs(batch.frames[:, pairs[:, side]]) for side in (0, 1))
        flow = self.network(first, second, self.iterations, train, all_flows=train)
        flow = flow if train else flow[None]
        shape = (flow.shape[0], batch.frames.shape[0], len(pairs), *flow.shape[2:])
        return FlowOutput(flow.reshape(shape), *(batch.frames[:, pairs[:, side]] for side in (0, 1)))


def flatten_pairs(frames: jax.Array) -> jax.Array:
    """[B, P, H, W, C] to [B * P, H, W, C]."""
    return frames.reshape(-1, *frames.shape[2:])

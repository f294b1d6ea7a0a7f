"""RAFT on the frame pairs of clips: how it is trained and evaluated where a data set knows the exact flow."""

import flax.linen as nn

from jmpose_jax.models.flow import paired_frames
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.records import ClipBatch, FlowOutput


class ClipFlow(nn.Module):
    """The flow of all pairs of a clip, those of `batch.flow_pairs`.

    Its variables are RAFT's own, without a name around them: what it learns serves as RAFT's weights wherever RAFT
    stands in a model, and converted weights can be evaluated by it.

    Attributes:
      size: "basic" or "small", as in RAFT.
      iterations: refinements.
      lookup: as in RAFT.
      remat: as in RAFT.
      initialization: as in RAFT.
    """

    size: str = "basic"
    iterations: int = 12
    lookup: str | None = None
    remat: bool = False
    initialization: str = "published"

    def setup(self) -> None:
        self.network = RAFT(self.size, self.lookup, self.remat, self.initialization, self.iterations)
        nn.share_scope(self, self.network)

    def __call__(self, batch: ClipBatch, train: bool = False) -> FlowOutput:
        """Estimate the flow.

        Args:
          batch: clips; frames uint8 [B, 2δ+1, H, W, 3], δ at least 1.
          train: return every iteration's flow, and normalise the context encoder with the batch's statistics.

        Returns:
          FlowOutput with flow [N, B, 2δ, H, W, 2], N the iterations in training and 1 otherwise.

        Raises:
          InputError: the clips have no pairs, or an option is unknown.
        """
        first, second = paired_frames(batch)
        size, pairs, *image = first.shape
        images = (frames.reshape(size * pairs, *image) for frames in (first, second))
        flow = self.network(*images, train=train, all_flows=train)
        flow = flow if train else flow[None]
        return FlowOutput(flow.reshape(flow.shape[0], size, pairs, *flow.shape[2:]), first, second)

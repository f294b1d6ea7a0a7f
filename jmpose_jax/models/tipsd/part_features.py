"""What a part group looks like over time: one feature a group, from where its joints are believed to be."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.models.blocks import DEFAULT_INIT, ChainOfBasicBlocks, Initializer
from jmpose_jax.models.parts import Part
from jmpose_jax.models.tipsd.part_groups import PartGroups


def group_maps(heatmaps: jax.Array, groups: PartGroups) -> jax.Array:
    """A_g, the highest of a group's heatmaps at every pixel: float32 [B, T, h, w, K] to [G, B, T, h, w]."""
    return jnp.stack([jnp.max(heatmaps[..., np.array(group)], -1) for group in groups])


class PartFeatures(nn.Module):
    """f_g of every group: residual blocks over A_g ⊙ F of all moments side by side, each group with its own.

    The groups pass through one compiled body in turn.

    Attributes:
      features: channels C of f_g.
      num_blocks: residual blocks of a group.
      kernel_init: initialiser of the kernels.
    """

    features: int
    num_blocks: int = 2
    kernel_init: Initializer = DEFAULT_INIT

    @nn.compact
    def __call__(self, maps: jax.Array, frames: jax.Array, train: bool = False) -> jax.Array:
        """Args: A_g [G, B, T, h, w], features F of all moments [B, T, h, w, C']. Returns: [G, B, h, w, features]."""
        batch, length, height, width, channels = frames.shape

        def one(block: nn.Module, carry: None, seen: jax.Array) -> tuple[None, jax.Array]:
            x = jnp.moveaxis(seen[..., None] * frames, 1, 3)
            return carry, block(x.reshape(batch, height, width, length * channels), train)

        scan = nn.scan(
            one,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True},
            length=maps.shape[0],
        )
        block = ChainOfBasicBlocks(self.features, self.num_blocks, kernel_init=self.kernel_init, name="blocks")
        return scan(block, None, maps)[1]


PART_FEATURES = Part({"": PartFeatures}, given=("features", "kernel_init"))

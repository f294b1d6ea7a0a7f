"""SmoothNet (Zeng et al., ECCV 2022): linear layers over the frames of a window, the same for every coordinate."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences.sampling import poses_of
from jmpose_jax.models.sequences.transformer import HIGHEST, uniform_init
from jmpose_jax.records import SequenceBatch, SequenceOutput


class SmoothNet(nn.Module):
    """Residual blocks between two linear layers, all along time.

    Attributes:
      window: T.
      hidden: width between the first and the last layer.
      residual_hidden: width inside a block.
      blocks: how many.
      dropout: share dropped inside the blocks while training.
    """

    window: int = 64
    hidden: int = 512
    residual_hidden: int = 128
    blocks: int = 5
    dropout: float = 0.25

    @nn.compact
    def __call__(self, batch: SequenceBatch | jax.Array, train: bool = False) -> SequenceOutput:
        """Smooth poses.

        Args:
          batch: poses float32 [B, T, C], T the window, or a batch that has them.
          train: draw dropout from the stream "dropout".

        Returns:
          The poses; there is no encoder, whose poses are the same ones.

        Raises:
          InputError: another T.
        """
        poses = poses_of(batch)
        if poses.shape[1] != self.window:
            raise InputError(f"poses of {poses.shape[1]} frames, and SmoothNet's window is {self.window}; cut windows")
        drop = nn.Dropout(self.dropout, deterministic=not train)

        def linear(features: int, inputs: int, name: str) -> nn.Dense:
            init = uniform_init(1 / math.sqrt(inputs))
            return nn.Dense(features, kernel_init=init, bias_init=init, precision=HIGHEST, name=name)

        x = nn.leaky_relu(linear(self.hidden, self.window, "encoder")(poses.swapaxes(1, 2)), 0.1)
        for i in range(self.blocks):
            y = nn.leaky_relu(drop(linear(self.residual_hidden, self.hidden, f"block{i}_linear1")(x)), 0.2)
            x = x + nn.leaky_relu(drop(linear(self.hidden, self.residual_hidden, f"block{i}_linear2")(y)), 0.2)
        x = linear(self.window, self.hidden, "decoder")(x).swapaxes(1, 2)
        return SequenceOutput(poses=x, encoder_poses=x, seen=jnp.ones(self.window, jnp.float32))

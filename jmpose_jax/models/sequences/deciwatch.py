"""DeciWatch (Zeng et al., ECCV 2022): poses of every tenth frame are denoised, and the others recovered from them."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.models.sequences import sampling
from jmpose_jax.models.sequences.transformer import (
    NORM_EPSILON,
    Decoder,
    EncoderLayer,
    dense,
    embed_frames,
    sine_positions,
)
from jmpose_jax.records import SequenceBatch, SequenceOutput


class DeciWatch(nn.Module):
    """A transformer whose encoder denoises the seen frames and whose decoder recovers all of them.

    Attributes:
      channels: C, coordinates of a pose.
      width: D.
      interval: N; frames 0, N, 2N … are seen.
      layers: of encoder and decoder each.
      heads, hidden, dropout: of the layers.
      pre_norm: normalise before each part of a layer.
      key_padding: see `sampling.key_padding`.
    """

    channels: int = 30
    width: int = 128
    interval: int = 10
    layers: int = 5
    heads: int = 4
    hidden: int = 256
    dropout: float = 0.1
    pre_norm: bool = False
    key_padding: str = "boolean"

    @nn.compact
    def __call__(self, batch: SequenceBatch | jax.Array, train: bool = False) -> SequenceOutput:
        """Refine poses.

        Args:
          batch: poses float32 [B, T, C], or a batch that has them; T = 1 + a multiple of the interval.
          train: draw dropout from the stream "dropout".

        Raises:
          InputError: another T.
        """
        poses = sampling.poses_of(batch)
        length, options = poses.shape[1], (self.heads, self.hidden, self.dropout, self.pre_norm)
        seen = sampling.seen_frames(length, self.interval)
        positions = sine_positions(length, self.width)
        x = poses * seen[:, None].astype(poses.dtype)
        memory = dense(self.width, self.channels, "encoder_embed")(x)
        for i in range(self.layers):
            layer = EncoderLayer(*options, name=f"encoder{i}")
            memory = layer(memory, positions, sampling.own_frame_hidden(seen), train)
        if self.pre_norm:
            memory = nn.LayerNorm(epsilon=NORM_EPSILON, name="encoder_norm")(memory)
        denoised = dense(self.channels, self.width, "encoder_joints")(memory) + x
        between = sampling.interpolate(denoised, self.interval)
        x = embed_frames(self.width, self.channels, "decoder_embed")(between)
        mask, bias = sampling.key_padding(seen, self.key_padding)
        x = Decoder(self.layers, *options, name="decoder")(x, memory, positions, mask, bias, train)
        recovered = dense(self.channels, self.width, "decoder_joints")(x) + between
        return SequenceOutput(poses=recovered, encoder_poses=denoised, seen=jnp.asarray(seen, jnp.float32))

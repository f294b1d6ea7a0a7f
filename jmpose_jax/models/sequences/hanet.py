"""HANet (Jin et al., WACV 2023): poses refined by their kinematic features in a hierarchical transformer.

Sections, equations and tables are those of the paper and its supplement; the names are those of the public code where
both have one. M-HANet (2024) masks keypoints of the input; it has no public code, and ours is a reconstruction.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences import sampling
from jmpose_jax.models.sequences.transformer import (
    NORM_EPSILON,
    Decoder,
    EncoderLayer,
    dense,
    embed_frames,
    sine_positions,
    uniform_init,
)
from jmpose_jax.records import SequenceBatch, SequenceOutput

MASKING = ("none", "frame", "sequence")


class Scale(nn.Module):
    """A weight and a bias for each coordinate: the originals' convolution of one tap and one group a coordinate."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., C] to [..., C]."""
        channels = x.shape[-1]
        # Xavier's draw counts a fan of 1 in and C out there.
        weight = self.param("weight", uniform_init(math.sqrt(6 / (1 + channels))), (channels,))
        return x * weight + self.param("bias", uniform_init(1.0), (channels,))


class Kinematics(nn.Module):
    """Velocities before and after a frame and the acceleration between them, with a weight and a bias a coordinate.

    Attributes:
      velocity, acceleration: which of them are given.
      weight_bias: learn weights and biases ("WB" of the supplement's Table 1); else they are 1 and 0.
    """

    velocity: bool = True
    acceleration: bool = True
    weight_bias: bool = True

    @nn.compact
    def __call__(self, before: jax.Array, poses: jax.Array, after: jax.Array) -> jax.Array:
        """Args: poses of the frame before, of the frame, and of that after, [B, T, C]. Returns: [B, T, 0 to 3 C]."""

        def scaled(x: jax.Array, name: str) -> jax.Array:
            return Scale(name=name)(x) if self.weight_bias else x

        if not (self.velocity or self.acceleration):
            return poses[..., :0]
        arriving, leaving = scaled(poses - before, "previous_velocity"), scaled(after - poses, "next_velocity")
        features = [arriving, leaving] if self.velocity else []
        if self.acceleration:
            features.append(scaled(jnp.square(leaving - arriving), "acceleration"))
        return jnp.concatenate(features, -1)


class HANet(nn.Module):
    """Kinematic features, a hierarchical encoder over the seen frames, and a decoder over all of them.

    Attributes:
      channels: C, coordinates of a pose.
      width: D; the encoder's layer i has the width D · 2^i.
      interval: N; frames 0, N, 2N … are seen, with the poses of the frames beside them.
      encoder_layers, decoder_layers: how many.
      heads: of every attention.
      expansion: width of a feed-forward part over its layer's.
      dropout: share dropped while training.
      pre_norm: normalise before each part of a layer.
      key_padding: see `sampling.key_padding`.
      flow, velocity, acceleration, weight_bias: the kinematic features of the supplement's Table 1. Without flow, the
        tokens are made from the poses alone, as DeciWatch's are.
      masking: M-HANet's; while training, one keypoint is masked as if occluded: "none", "frame" (one drawn for each
        frame) or "sequence" (one for all its frames). Drawn from the stream "masking".
      masking_rate: share of the frames or sequences in which one is masked.
      dimensions: coordinates of a keypoint, for the masking.
      keep_unused: have the variables that the public code makes and never reads (its last projection, 33.6 million of
        them at D = 256, and norms), for checkpoints that go back to it.
    """

    channels: int = 30
    width: int = 256
    interval: int = 5
    encoder_layers: int = 5
    decoder_layers: int = 5
    heads: int = 4
    expansion: int = 4
    dropout: float = 0.1
    pre_norm: bool = False
    key_padding: str = "boolean"
    flow: bool = True
    velocity: bool = True
    acceleration: bool = True
    weight_bias: bool = True
    masking: str = "none"
    masking_rate: float = 1.0
    dimensions: int = 2
    keep_unused: bool = False

    @nn.compact
    def __call__(self, batch: SequenceBatch | jax.Array, train: bool = False) -> SequenceOutput:
        """Refine poses.

        Args:
          batch: poses float32 [B, T, C], or a batch that has them; T = 1 + a multiple of the interval.
          train: draw dropout and masks from the streams "dropout" and "masking".

        Returns:
          The decoder's poses, and the encoder's, of which the seen frames alone mean anything.

        Raises:
          InputError: another T, or an option that there is not.
        """
        poses = sampling.poses_of(batch)
        if self.masking not in MASKING:
            raise InputError(f"masking={self.masking!r} is not known; use one of {', '.join(MASKING)}")
        length = poses.shape[1]
        seen = sampling.seen_frames(length, self.interval)
        shown = jnp.asarray(seen, poses.dtype)[:, None]
        if train and self.masking != "none":
            poses = poses * self._kept(poses)
        # The first frame has none before it, the last none after it: they stand in for these themselves.
        padded = jnp.concatenate([poses[:, :1], poses, poses[:, -1:]], 1)
        before, x, after = padded[:, :-2] * shown, poses * shown, padded[:, 2:] * shown

        tokens = [(before + x + after) / 3, x, before, after] if self.flow else [x]
        motion = Kinematics(self.velocity, self.acceleration, self.weight_bias, name="kinematics")(before, x, after)
        positions = sine_positions(length, self.width)
        memory = self._encode(jnp.concatenate(tokens, -1), seen, train)
        refined = dense(self.channels, self.width, "encoder_joints")(memory) + x
        between = sampling.interpolate(refined, self.interval)

        memory = jnp.concatenate([memory, motion], -1)
        memory = dense(self.width, memory.shape[-1], "motion_embed")(memory)
        mask, bias = sampling.key_padding(seen, self.key_padding)
        options = (self.heads, self.expansion * self.width, self.dropout, self.pre_norm)
        decoder = Decoder(self.decoder_layers, *options, name="decoder")
        between_embedded = embed_frames(self.width, self.channels, "decoder_embed")(between)
        found = decoder(between_embedded, memory, positions, mask, bias, train)
        final = dense(self.channels, self.width, "decoder_joints")(found) + between
        return SequenceOutput(poses=final, encoder_poses=refined, seen=jnp.asarray(seen, jnp.float32))

    def _encode(self, tokens: jax.Array, seen: jax.Array, train: bool) -> jax.Array:
        """The hierarchical encoder: layers of doubling width, each brought back to D; the mean over them."""
        x = dense(self.width, tokens.shape[-1], "encoder_embed")(tokens)
        mask, found = sampling.own_frame_hidden(seen), []
        for i in range(self.encoder_layers):
            width = self.width * 2**i
            options = (self.heads, self.expansion * width, self.dropout, self.pre_norm)
            x = EncoderLayer(*options, name=f"encoder{i}")(x, sine_positions(x.shape[1], width), mask, train)
            found.append(dense(self.width, width, f"offset{i}")(x))
            if self.keep_unused and self.pre_norm:
                nn.LayerNorm(epsilon=NORM_EPSILON, name=f"encoder_norm{i}")(x)
            if i + 1 < self.encoder_layers or self.keep_unused:
                x = dense(2 * width, width, f"projection{i}")(x)
        return sum(found) / len(found)

    def _kept(self, poses: jax.Array) -> jax.Array:
        """1, and 0 at the coordinates of the masked keypoints: [B, T, C]."""
        size, length, channels = poses.shape
        key_which, key_whether = jax.random.split(self.make_rng("masking"))
        shape = (size, length if self.masking == "frame" else 1)
        keypoint = jax.random.randint(key_which, shape, 0, channels // self.dimensions)
        masked = jnp.arange(channels) // self.dimensions == keypoint[..., None]
        chosen = jax.random.bernoulli(key_whether, self.masking_rate, shape)[..., None]
        return jnp.broadcast_to(1.0 - (masked & chosen), poses.shape)

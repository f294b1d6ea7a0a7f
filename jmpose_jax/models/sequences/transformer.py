"""Transformer layers over the frames of a sequence, as DETR, DeciWatch and HANet arrange them.

Poses are coordinates: everything is computed in float32 at the highest precision.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

HIGHEST = jax.lax.Precision.HIGHEST
KERNEL_INIT = nn.initializers.xavier_uniform()
NORM_EPSILON = 1e-5  # PyTorch's


def uniform_init(limit: float) -> Initializer:
    """Uniform in ±limit."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -limit, limit)


def dense(features: int, inputs: int, name: str, kernel_init: Initializer = KERNEL_INIT) -> nn.Dense:
    """A linear layer with PyTorch's draw of the bias, ±1/√inputs."""
    bias_init = uniform_init(1 / math.sqrt(inputs))
    return nn.Dense(features, kernel_init=kernel_init, bias_init=bias_init, precision=HIGHEST, name=name)


def embed_frames(features: int, inputs: int, name: str) -> nn.Conv:
    """A convolution over five frames, the decoders' first layer, drawn as `dense`."""
    return nn.Conv(
        features,
        (5,),
        padding=((2, 2),),
        kernel_init=KERNEL_INIT,
        bias_init=uniform_init(1 / math.sqrt(5 * inputs)),
        precision=HIGHEST,
        name=name,
    )


def sine_positions(length: int, width: int) -> jax.Array:
    """Sine and cosine of a frame's time at width/2 frequencies: float32 [length, width].

    Time runs from 0 to 2π over the sequence. The frequencies are those of the public code, whose exponent runs to 2.
    """
    time = jnp.arange(length, dtype=jnp.float32) / (max(length - 1, 0) + 1e-6) * (2 * math.pi)
    half = width // 2
    angles = time[:, None] / 10_000.0 ** (2 * jnp.arange(half, dtype=jnp.float32) / half)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(length, width)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017).

    Attributes:
      heads: H; the width of the queries must be a multiple of it.
      dropout: share of the weights dropped while training.
    """

    heads: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        query: jax.Array,
        key: jax.Array,
        value: jax.Array,
        mask: jax.Array | None = None,
        bias: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Attend.

        Args:
          query: [B, T, D]; key, value: [B, S, D].
          mask: bool, broadcast to [B, H, T, S], True where a query may look.
          bias: added to the logits, broadcast likewise.
          train: drop weights.

        Returns:
          [B, T, D].
        """
        width = query.shape[-1]
        # Query, key and value are one matrix in the originals, and drawn as one.
        kernels = jnp.split(self.param("in_kernel", KERNEL_INIT, (width, 3 * width)), 3, axis=1)
        biases = jnp.split(self.param("in_bias", nn.initializers.zeros, (3 * width,)), 3)

        def heads(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
            made = jnp.einsum("btd,de->bte", x, kernel, precision=HIGHEST) + bias
            return made.reshape(*x.shape[:-1], self.heads, width // self.heads)

        q, k, v = (heads(x, *its) for x, *its in zip((query, key, value), kernels, biases))
        logits = jnp.einsum("bthd,bshd->bhts", q, k, precision=HIGHEST) / math.sqrt(width // self.heads)
        if bias is not None:
            logits = logits + bias
        if mask is not None:
            # A frame that may look at none looks at all alike, where -inf would give NaN.
            logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
        weights = nn.Dropout(self.dropout)(nn.softmax(logits), deterministic=not train)
        found = jnp.einsum("bhts,bshd->bthd", weights, v, precision=HIGHEST).reshape(*query.shape[:-1], width)
        return nn.Dense(width, kernel_init=KERNEL_INIT, precision=HIGHEST, name="out")(found)


class FeedForward(nn.Module):
    """Two linear layers with LeakyReLU between them.

    Attributes:
      hidden: width between.
      dropout: share dropped behind the activation.
      slope: of LeakyReLU below zero.
    """

    hidden: int
    dropout: float
    slope: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """[B, T, D] to [B, T, D]."""
        width = x.shape[-1]
        x = nn.leaky_relu(dense(self.hidden, width, "linear1")(x), self.slope)
        x = nn.Dropout(self.dropout)(x, deterministic=not train)
        return dense(width, self.hidden, "linear2")(x)


class EncoderLayer(nn.Module):
    """Self-attention with positions on queries and keys, then the feed-forward part.

    Attributes:
      heads, hidden, dropout, slope: see `Attention` and `FeedForward`.
      pre_norm: normalise before each part, not behind it.
    """

    heads: int
    hidden: int
    dropout: float
    pre_norm: bool = False
    slope: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array, positions: jax.Array, mask: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, T, D]; positions [T, D]; mask as in `Attention`. Returns: [B, T, D]."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        norm1, norm2 = (nn.LayerNorm(epsilon=NORM_EPSILON, name=name) for name in ("norm1", "norm2"))
        attention = Attention(self.heads, self.dropout, name="self_attention")
        feed = FeedForward(self.hidden, self.dropout, self.slope, name="feed_forward")
        y = norm1(x) if self.pre_norm else x
        q = y + positions
        x = x + drop(attention(q, q, y, mask, train=train))
        x = x if self.pre_norm else norm1(x)
        x = x + drop(feed(norm2(x) if self.pre_norm else x, train))
        return x if self.pre_norm else norm2(x)


class DecoderLayer(nn.Module):
    """Self-attention, attention to a memory, and the feed-forward part (Carion et al. 2020).

    Attributes: as `EncoderLayer`.
    """

    heads: int
    hidden: int
    dropout: float
    pre_norm: bool = False
    slope: float = 0.01

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        memory: jax.Array,
        positions: jax.Array,
        mask: jax.Array | None,
        bias: jax.Array | None,
        train: bool = False,
    ) -> jax.Array:
        """Args: x, memory [B, T, D]; positions [T, D]; mask, bias: of the attention to the memory. Returns: like x."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        norms = [nn.LayerNorm(epsilon=NORM_EPSILON, name=f"norm{i}") for i in (1, 2, 3)]
        own = Attention(self.heads, self.dropout, name="self_attention")
        cross = Attention(self.heads, self.dropout, name="cross_attention")
        feed = FeedForward(self.hidden, self.dropout, self.slope, name="feed_forward")

        def to_itself(y: jax.Array) -> jax.Array:
            return own(y + positions, y + positions, y, train=train)

        def to_memory(y: jax.Array) -> jax.Array:
            return cross(y + positions, memory + positions, memory, mask, bias, train)

        for norm, part in zip(norms, (to_itself, to_memory, lambda y: feed(y, train))):
            x = x + drop(part(norm(x))) if self.pre_norm else norm(x + drop(part(x)))
        return x


class Decoder(nn.Module):
    """Decoder layers and a last normalisation.

    Attributes:
      layers: how many.
      heads, hidden, dropout, pre_norm, slope: of each.
    """

    layers: int
    heads: int
    hidden: int
    dropout: float
    pre_norm: bool = False
    slope: float = 0.01

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        memory: jax.Array,
        positions: jax.Array,
        mask: jax.Array | None,
        bias: jax.Array | None,
        train: bool = False,
    ) -> jax.Array:
        """As `DecoderLayer`."""
        options = (self.heads, self.hidden, self.dropout, self.pre_norm, self.slope)
        for i in range(self.layers):
            x = DecoderLayer(*options, name=f"layer{i}")(x, memory, positions, mask, bias, train)
        return nn.LayerNorm(epsilon=NORM_EPSILON, name="norm")(x)

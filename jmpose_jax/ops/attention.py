"""Cross-attention between two feature maps: over channels, or over pixels in bounded memory."""

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError

HIGHEST = jax.lax.Precision.HIGHEST
MODES = ("channel", "spatial", "spatial_full")


def cross_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    mode: str = "channel",
    heads: int = 1,
    query_chunk: int = 576,
) -> jax.Array:
    """softmax(Q Kᵀ / √d) V between feature maps (the attention of Eq. 7 and 8).

    "channel": the tokens are the C channels and d the pixels of a head; heads split the pixels, row by row, into runs.
    The weights are C x C, whatever the resolution. "spatial": the tokens are the pixels and d the channels of a head;
    queries pass in chunks whose weights are computed again in the backward pass, so that memory grows with
    query_chunk x pixels instead of pixels squared. "spatial_full" is the same in one piece.

    Args:
      query, key, value: [B, H, W, C].
      mode: "channel", "spatial" or "spatial_full".
      heads: must divide H * W ("channel") or C (spatial).
      query_chunk: queries in one chunk of "spatial".

    Returns:
      [B, H, W, C].

    Raises:
      InputError: an unknown mode, or heads that do not divide.
    """
    if mode not in MODES:
        raise InputError(f"attention={mode!r}: choose one of {', '.join(MODES)}")
    batch, height, width, channels = query.shape
    pixels = height * width
    split = pixels if mode == "channel" else channels
    if heads < 1 or split % heads:
        raise InputError(f"attention heads={heads} must divide the {split} features of a token in mode {mode!r}")
    q, k, v = (a.reshape(batch, pixels, channels) for a in (query, key, value))
    if mode == "channel":
        out = _channel(q, k, v, heads)
    else:
        out = _spatial(q, k, v, heads, query_chunk if mode == "spatial" else pixels)
    return out.reshape(query.shape)


def _channel(q: jax.Array, k: jax.Array, v: jax.Array, heads: int) -> jax.Array:
    batch, pixels, channels = q.shape
    q, k, v = (a.reshape(batch, heads, pixels // heads, channels) for a in (q, k, v))
    logits = jnp.einsum("bhpc,bhpd->bhcd", q, k, precision=HIGHEST) / jnp.sqrt(pixels / heads)
    return jnp.einsum("bhcd,bhpd->bhpc", jax.nn.softmax(logits, -1), v)


def _spatial(q: jax.Array, k: jax.Array, v: jax.Array, heads: int, chunk: int) -> jax.Array:
    batch, pixels, channels = q.shape
    q, k, v = (a.reshape(batch, pixels, heads, channels // heads) for a in (q, k, v))

    @jax.checkpoint
    def attend(some: jax.Array) -> jax.Array:
        logits = jnp.einsum("bphd,bqhd->bhpq", some, k, precision=HIGHEST) / jnp.sqrt(channels / heads)
        return jnp.einsum("bhpq,bqhd->bphd", jax.nn.softmax(logits, -1), v)

    if chunk >= pixels:
        return attend(q)
    count = -(-pixels // chunk)
    padded = jnp.pad(q, ((0, 0), (0, count * chunk - pixels), (0, 0), (0, 0)))
    chunks = jnp.moveaxis(padded.reshape(batch, count, chunk, *q.shape[2:]), 1, 0)
    out = jnp.moveaxis(jax.lax.map(attend, chunks), 0, 1)
    return out.reshape(batch, count * chunk, heads, channels // heads)[:, :pixels]

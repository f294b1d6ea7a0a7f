"""The three operations of RAFT that are not convolutions: all-pairs correlation, its lookup, and upsampling of flow.

Coordinates are (x, y) in pixels of the feature map, pixel centres on integers (Teed and Deng, ECCV 2020, sections 3.2
and 3.3).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.ops.target import target_device

HIGHEST = jax.lax.Precision.HIGHEST
UPSAMPLING = 8


def correlation_volume(fmap1: jax.Array, fmap2: jax.Array) -> jax.Array:
    """Scaled dot products of every pixel of one map with every pixel of the other.

    Args:
      fmap1: float32 [B, h, w, D].
      fmap2: float32 [B, h', w', D].

    Returns:
      float32 [B, h, w, h', w'], <fmap1, fmap2> / sqrt(D).
    """
    volume = jnp.einsum("bijd,bkld->bijkl", fmap1, fmap2, precision=HIGHEST)
    return volume / np.sqrt(np.float32(fmap1.shape[-1]))


def correlation_pyramid(fmap1: jax.Array, fmap2: jax.Array, num_levels: int = 4) -> tuple[jax.Array, ...]:
    """The correlation volume and its averages over 2x2, 4x4, … pixels of the second map.

    Args:
      fmap1: float32 [B, h, w, D].
      fmap2: float32 [B, h', w', D].
      num_levels: levels, the full volume included.

    Returns:
      Level l is float32 [B, h, w, floor(h' / 2^l), floor(w' / 2^l)]; an odd last row or column is left out of the next
      level, as PyTorch's pooling does. A level may be empty; `lookup` reads zeros from it.
    """
    levels = [correlation_volume(fmap1, fmap2)]
    for _ in range(num_levels - 1):
        volume = levels[-1]
        h, w = volume.shape[3] // 2, volume.shape[4] // 2
        blocks = volume[..., : 2 * h, : 2 * w].reshape(*volume.shape[:3], h, 2, w, 2)
        levels.append(blocks.mean((4, 6)))
    return tuple(levels)


def lookup(
    pyramid: tuple[jax.Array, ...], coords: jax.Array, radius: int, implementation: str | None = None
) -> jax.Array:
    """Bilinear samples of the pyramid in a window around a place per pixel; zero outside the maps.

    Args:
      pyramid: of `correlation_pyramid`.
      coords: float32 [B, h, w, 2], (x, y) in pixels of the second map at level 0.
      radius: r; the window has (2r + 1)^2 samples a level, one pixel of that level apart.
      implementation: "gather" reads the pixels, "hat" multiplies with matrices of triangle functions, which matrix
        units like and whose gradient needs no scatter; None picks "hat" on TPU and "gather" elsewhere. Both agree.

    Returns:
      float32 [B, h, w, levels * (2r + 1)^2], level-major; within a level channel i * (2r + 1) + j is the sample at
      (x + i - r, y + j - r): x is the slow index, as in the published weights.

    Raises:
      InputError: no such implementation.
    """
    if implementation is None:
        implementation = "hat" if target_device().platform == "tpu" else "gather"
    if implementation not in _WINDOWS:
        raise InputError(f"correlation lookup implementation={implementation!r}: choose one of {', '.join(_WINDOWS)}")
    window = _WINDOWS[implementation]
    batch, h, w, _ = coords.shape
    samples = []
    for level, volume in enumerate(pyramid):
        maps = volume.reshape(batch * h * w, *volume.shape[3:])
        centres = coords.reshape(batch * h * w, 2) / 2**level
        samples.append(window(maps, centres, radius).reshape(batch, h, w, (2 * radius + 1) ** 2))
    return jnp.concatenate(samples, axis=-1)


def _window_gather(maps: jax.Array, centres: jax.Array, radius: int) -> jax.Array:
    """maps [N, h, w], centres [N, 2] -> [N, 2r+1 (x), 2r+1 (y)].

    All samples of a window share their fraction of a pixel, so (2r + 2)^2 pixels are read and blended, not 4 each.
    """
    n, h, w = maps.shape
    if h == 0 or w == 0:
        return jnp.zeros((n, 2 * radius + 1, 2 * radius + 1), maps.dtype)
    corner = jnp.floor(centres)
    fx, fy = jnp.split((centres - corner)[:, :, None, None], 2, axis=1)
    fx, fy = fx[:, 0], fy[:, 0]
    # A centre far outside must not overflow the integer; any place beyond the margin reads zeros alike.
    limit = jnp.asarray([w + radius + 1, h + radius + 1], corner.dtype)
    corner = jnp.clip(corner, -limit, limit).astype(jnp.int32)
    steps = jnp.arange(-radius, radius + 2)
    x, y = corner[:, :1] + steps, corner[:, 1:] + steps
    inside = ((x >= 0) & (x < w))[:, :, None] & ((y >= 0) & (y < h))[:, None, :]
    flat = jnp.clip(x, 0, w - 1)[:, :, None] + w * jnp.clip(y, 0, h - 1)[:, None, :]
    pixels = jnp.take_along_axis(maps.reshape(n, h * w), flat.reshape(n, -1), axis=1).reshape(flat.shape)
    pixels = jnp.where(inside, pixels, 0)
    rows = (1 - fx) * pixels[:, :-1] + fx * pixels[:, 1:]
    return (1 - fy) * rows[:, :, :-1] + fy * rows[:, :, 1:]


def _window_hat(maps: jax.Array, centres: jax.Array, radius: int) -> jax.Array:
    """As `_window_gather`: the bilinear weights of x and y are matrices of their own."""
    steps = jnp.arange(-radius, radius + 1, dtype=centres.dtype)

    def weights(centre: jax.Array, size: int) -> jax.Array:
        places = centre[:, None, None] + steps[None, :, None]
        return jnp.maximum(1 - jnp.abs(places - jnp.arange(size, dtype=centre.dtype)), 0)

    rows = jnp.einsum("nxw,nhw->nxh", weights(centres[:, 0], maps.shape[2]), maps, precision=HIGHEST)
    return jnp.einsum("nxh,nyh->nxy", rows, weights(centres[:, 1], maps.shape[1]), precision=HIGHEST)


_WINDOWS = {"gather": _window_gather, "hat": _window_hat}


def convex_upsample(flow: jax.Array, mask: jax.Array) -> jax.Array:
    """Bring flow to 8 times its size: each fine pixel is a convex combination of nine coarse ones.

    Args:
      flow: float32 [B, h, w, 2], pixels of the coarse grid.
      mask: float32 [B, h, w, 9 * 64], logits; index (n * 8 + row) * 8 + column, n the neighbour in row-major order.

    Returns:
      float32 [B, 8h, 8w, 2], pixels of the fine grid.
    """
    b, h, w, _ = flow.shape
    f = UPSAMPLING
    weights = jax.nn.softmax(mask.reshape(b, h, w, 9, f, f), axis=3)
    padded = jnp.pad(f * flow, ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = jnp.stack([padded[:, dy : dy + h, dx : dx + w] for dy in range(3) for dx in range(3)], axis=3)
    fine = jnp.einsum("bhwnrc,bhwnd->bhrwcd", weights, neighbours, precision=HIGHEST)
    return fine.reshape(b, f * h, f * w, 2)


def bilinear_upsample(flow: jax.Array) -> jax.Array:
    """Bring flow to 8 times its size by bilinear interpolation with the corner pixels aligned.

    Args:
      flow: float32 [B, h, w, 2], pixels of the coarse grid.

    Returns:
      float32 [B, 8h, 8w, 2], pixels of the fine grid.
    """
    _, h, w, _ = flow.shape
    fine = jnp.einsum("yh,bhwd->bywd", _aligned_weights(h), flow, precision=HIGHEST)
    fine = jnp.einsum("xw,bywd->byxd", _aligned_weights(w), fine, precision=HIGHEST)
    return UPSAMPLING * fine


def _aligned_weights(size: int) -> np.ndarray:
    """float32 [8 * size, size]: rows of linear interpolation from `size` points to 8 * size over the same span."""
    places = np.linspace(0.0, size - 1.0, UPSAMPLING * size)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(size)), 0).astype(np.float32)

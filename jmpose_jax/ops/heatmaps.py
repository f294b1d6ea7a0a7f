"""Heatmaps of joints: drawing targets, reading coordinates, averaging with the mirrored image.

Heatmaps are [..., h, w, K]. A heatmap pixel (x, y) lies at (stride * x, stride * y) of the crop.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError

HIGHEST = jax.lax.Precision.HIGHEST
DECODERS = ("argmax", "quarter_offset", "dark")  # methods of `decode`


def encode(
    keypoints: jax.Array,
    weights: jax.Array,
    *,
    heatmap_size: tuple[int, int],
    stride: int = 4,
    sigma: float = 3.0,
    mode: str = "official",
) -> tuple[jax.Array, jax.Array]:
    """Draws the target heatmaps of a set of joints: Gaussians of peak 1.

    "official" is the lineage's target: the centre is rounded to a heatmap pixel, int(x / stride + 0.5), which truncates
    towards zero, and the Gaussian ends 3 sigma from it. "exact" centres the Gaussian at x / stride and never cuts it,
    so that the target of a joint is not displaced by up to half a heatmap pixel.

    Args:
      keypoints: float32 [..., K, 2], (x, y) in crop pixels.
      weights: float32 [..., K], 0 for joints without annotation.
      heatmap_size: (h, w).
      stride: crop pixels per heatmap pixel.
      sigma: standard deviation, heatmap pixels.
      mode: "official" or "exact".

    Returns:
      targets float32 [..., h, w, K], zero for joints of weight 0.5 or less; weights [..., K], set to 0 where the
      Gaussian's 3-sigma window misses the map.

    Raises:
      InputError: the mode is unknown.
    """
    if mode not in ("official", "exact"):
        raise InputError(f"heatmaps.encode: unknown mode {mode!r}; choose official or exact")
    height, width = heatmap_size
    centre = keypoints.astype(jnp.float32) / stride
    radius = float(int(3 * sigma))
    rounded = jnp.trunc(centre + 0.5)
    limit = jnp.array([width, height], jnp.float32)
    # The end of the window is exclusive, and the lineage compares it with "< 0".
    misses = jnp.any((rounded - radius >= limit) | (rounded + radius + 1 < 0), -1)
    weights = jnp.where(misses, 0.0, weights)
    if mode == "official":
        centre = rounded
    dy = jnp.arange(height, dtype=jnp.float32)[:, None] - centre[..., None, :, 1]  # [..., h, K]
    dx = jnp.arange(width, dtype=jnp.float32)[:, None] - centre[..., None, :, 0]  # [..., w, K]
    gy = jnp.exp(-(dy**2) / (2 * sigma**2))
    gx = jnp.exp(-(dx**2) / (2 * sigma**2))
    if mode == "official":
        gy, gx = jnp.where(jnp.abs(dy) <= radius, gy, 0.0), jnp.where(jnp.abs(dx) <= radius, gx, 0.0)
    targets = gy[..., :, None, :] * gx[..., None, :, :]
    return targets * (weights > 0.5)[..., None, None, :], weights


def gaussian_kernel(size: int) -> np.ndarray:
    """float64 [size], sums to 1; the width OpenCV derives from the size: 0.3 * ((size - 1) / 2 - 1) + 0.8."""
    if size < 1 or size % 2 == 0:
        raise InputError(f"heatmaps: blur_kernel must be odd and positive, got {size}")
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    kernel = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    return kernel / kernel.sum()


def _blur_matrix(length: int, size: int) -> np.ndarray:
    """float32 [length, length]: a convolution with zeros outside, as a matrix."""
    distance = np.arange(length)[:, None] - np.arange(length)[None, :] + (size - 1) // 2
    kernel = gaussian_kernel(size)
    inside = (distance >= 0) & (distance < size)
    return np.where(inside, kernel[np.clip(distance, 0, size - 1)], 0.0).astype(np.float32)


def blur(heatmaps: jax.Array, size: int = 11) -> jax.Array:
    """Gaussian blur with zeros outside, each map rescaled to its own former maximum. [..., h, w, K] to the same."""
    height, width = heatmaps.shape[-3:-1]
    rows, columns = _blur_matrix(height, size), _blur_matrix(width, size)
    out = jnp.einsum("ij,...jwk->...iwk", rows, heatmaps, precision=HIGHEST)
    out = jnp.einsum("ij,...hjk->...hik", columns, out, precision=HIGHEST)
    peak = jnp.max(out, (-3, -2), keepdims=True)
    return out * jnp.max(heatmaps, (-3, -2), keepdims=True) / jnp.where(peak == 0, 1.0, peak)


def _read(maps: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """The values of maps [..., K, h * w flattened with its width] at integer (x, y) [..., K]."""
    flat, width = maps
    return jnp.take_along_axis(flat, (y * width + x)[..., None], -1)[..., 0]


def _quarter_offset(heatmaps: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """A quarter of a pixel towards the higher neighbour, [..., K, 2]."""
    height, width = heatmaps.shape[-3:-1]
    maps = (jnp.moveaxis(heatmaps, -1, -3).reshape(*x.shape, height * width), width)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    px, py = jnp.clip(x, 1, width - 2), jnp.clip(y, 1, height - 2)
    dx = _read(maps, px + 1, py) - _read(maps, px - 1, py)
    dy = _read(maps, px, py + 1) - _read(maps, px, py - 1)
    return jnp.where(inside[..., None], 0.25 * jnp.sign(jnp.stack([dx, dy], -1)), 0.0)


def _dark_offset(heatmaps: jax.Array, x: jax.Array, y: jax.Array, blur_kernel: int) -> jax.Array:
    """The Newton step of the blurred map's logarithm (Zhang et al. 2020, distribution-aware decoding), [..., K, 2]."""
    height, width = heatmaps.shape[-3:-1]
    log = jnp.log(jnp.maximum(blur(heatmaps, blur_kernel), 1e-10))
    maps = (jnp.moveaxis(log, -1, -3).reshape(*x.shape, height * width), width)
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    px, py = jnp.clip(x, 2, width - 3), jnp.clip(y, 2, height - 3)

    def at(dx, dy):
        return _read(maps, px + dx, py + dy)

    dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    dxx = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    dyy = 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    dxy = 0.25 * (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1))
    determinant = dxx * dyy - dxy**2
    safe = jnp.where(determinant == 0, 1.0, determinant)
    step = jnp.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / safe[..., None]
    return jnp.where((inside & (determinant != 0))[..., None], step, 0.0)


def decode(heatmaps: jax.Array, method: str = "argmax", blur_kernel: int = 11) -> tuple[jax.Array, jax.Array]:
    """Reads one coordinate and one score from every map.

    Args:
      heatmaps: float32 [..., h, w, K].
      method: "argmax" (the highest pixel), "quarter_offset" (a quarter pixel towards its higher neighbours) or "dark"
        (the peak of a parabola through the logarithm of the blurred map).
      blur_kernel: odd size of dark's blur, heatmap pixels.

    Returns:
      coordinates float32 [..., K, 2], (x, y) in heatmap pixels, (0, 0) where no value is positive; scores [..., K],
      the maximum of each map.

    Raises:
      InputError: the method is unknown, or a map is too small for it.
    """
    if method not in DECODERS:
        raise InputError(f"heatmaps.decode: unknown method {method!r}; choose one of {', '.join(DECODERS)}")
    height, width, joints = heatmaps.shape[-3:]
    if method != "argmax" and min(height, width) < 5:
        raise InputError(f"heatmaps.decode: {method} needs maps of 5 x 5 or more, got {height} x {width}")
    flat = heatmaps.reshape(*heatmaps.shape[:-3], height * width, joints)
    peak = jnp.argmax(flat, -2)
    scores = jnp.max(flat, -2)
    found = scores > 0
    x, y = jnp.where(found, peak % width, 0), jnp.where(found, peak // width, 0)
    coordinates = jnp.stack([x, y], -1).astype(jnp.float32)
    if method == "quarter_offset":
        coordinates = coordinates + _quarter_offset(heatmaps, x, y)
    elif method == "dark":
        coordinates = coordinates + _dark_offset(heatmaps, x, y, blur_kernel)
    return coordinates, scores


def flip_back(heatmaps: jax.Array, flip_permutation: Sequence[int] | np.ndarray) -> jax.Array:
    """The heatmaps of a mirrored crop in the frame and joint order of the crop itself.

    Args:
      heatmaps: [..., h, w, K] of the mirrored crop.
      flip_permutation: int [K], `Skeleton.flip_permutation`.

    Returns:
      [..., h, w, K].
    """
    return heatmaps[..., ::-1, :][..., np.asarray(flip_permutation)]


def flip_average(
    heatmaps: jax.Array, mirrored: jax.Array, flip_permutation: Sequence[int] | np.ndarray, *, shift: bool = True
) -> jax.Array:
    """The mean of the heatmaps of a crop and those of its mirror image.

    Args:
      heatmaps: [..., h, w, K] of the crop.
      mirrored: [..., h, w, K] of the mirrored crop.
      flip_permutation: int [K], `Skeleton.flip_permutation`.
      shift: move the mirrored maps right by one pixel first. A stride of s puts heatmap pixel x at crop pixel s * x,
        and the mirror image of that grid is not the grid itself; the lineage corrects for it so.

    Returns:
      [..., h, w, K].
    """
    back = flip_back(mirrored, flip_permutation)
    if shift:
        back = jnp.concatenate([back[..., :1, :], back[..., :-1, :]], -2)
    return 0.5 * (heatmaps + back)

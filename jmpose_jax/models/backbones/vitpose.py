"""ViTPose: a plain vision transformer and a light decoder (Xu et al., NeurIPS 2022)."""

import functools
import logging
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.simple_baseline import deconvolutions
from jmpose_jax.models.blocks import LINEAGE_INIT, Dtype, Initializer, repeat_blocks

logger = logging.getLogger(__name__)
PATCH = 16
# The patches overlap the border: a convolution of kernel 16 and stride 16, two pixels of padding on every side.
PATCH_PADDING = ((2, 2), (2, 2))
DECODERS = ("classic", "simple")
VIT_INIT = nn.initializers.truncated_normal(0.02)
SIZES = {  # width, depth, heads
    "s": (384, 12, 12),
    "b": (768, 12, 12),
    "l": (1024, 24, 16),
    "h": (1280, 32, 16),
}


def patch_positions(embedding: jax.Array, grid: tuple[int, int], wanted: tuple[int, int]) -> jax.Array:
    """The embedding of every patch of a grid, interpolated (cubic) where it is of another one.

    Args:
      embedding: float32 [1, rows * columns + 1, D]; its first row, of no patch, is added to all.
      grid: rows and columns that it is of.
      wanted: those to return.

    Returns:
      float32 [1, rows * columns, D] of the wanted grid.
    """
    whole, each = embedding[:, :1], embedding[:, 1:]
    if grid != wanted:
        width = embedding.shape[-1]
        each = each.reshape(1, *grid, width)
        each = jax.image.resize(each, (1, *wanted, width), "cubic", antialias=False).reshape(1, -1, width)
    return each + whole


class Attention(nn.Module):
    """Self-attention of all tokens. Queries, keys and values lie on the first axis of one parameter, in that order.

    Attributes:
      heads: they divide the width.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    heads: int
    kernel_init: Initializer = VIT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Args: x [B, N, D]. Returns: [B, N, D]."""
        size, count, width = x.shape
        kernel = self.param("qkv_kernel", self.kernel_init, (3, width, width))
        bias = self.param("qkv_bias", nn.initializers.zeros, (3, width))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        parts = jnp.einsum("bnd,pde->pbne", x, kernel) + bias[:, None, None]
        q, k, v = parts.reshape(3, size, count, self.heads, width // self.heads)
        weights = jnp.einsum("bnhd,bmhd->bhnm", q, k) * (width // self.heads) ** -0.5
        seen = jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(weights, -1), v).reshape(size, count, width)
        return nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype, name="projection")(seen)


class TransformerBlock(nn.Module):
    """Attention and two linear layers, each behind a normalisation and beside a shortcut.

    Attributes:
      heads, kernel_init, dtype: as in Attention.
      ratio: width of the inner layer over that of the tokens.
      epsilon: of the normalisations.
    """

    heads: int
    ratio: int = 4
    epsilon: float = 1e-6
    kernel_init: Initializer = VIT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, N, D]; train changes nothing. Returns: [B, N, D]."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        norm = functools.partial(nn.LayerNorm, epsilon=self.epsilon, dtype=self.dtype)
        x = x + Attention(self.heads, name="attention", **options)(norm(name="norm1")(x))
        y = nn.Dense(self.ratio * x.shape[-1], name="linear1", **options)(norm(name="norm2")(x))
        return x + nn.Dense(x.shape[-1], name="linear2", **options)(nn.gelu(y, approximate=False))


class ViTPose(nn.Module):
    """ViTPose with a heatmap head; the defaults are the published ViTPose-B (`SIZES` has the others).

    Stochastic depth, which the published training uses, is not part of it.

    Attributes:
      width, depth, heads: of the transformer.
      decoder: "classic" (two transposed convolutions of 256 channels, then 1x1) or "simple" (ReLU, bilinear to four
        times the size, then 3x3).
      num_joints: heatmaps, K.
      position_grid: rows and columns of patches that the position embedding has, (16, 12) of 256x192 and (24, 18) of
        384x288; () those of the images. For images of other sizes it is interpolated, which a line in the log says.
      ratio, epsilon: as in TransformerBlock.
      kernel_init: initialiser of the transformer's kernels; those of the decoder are N(0, 0.001), as published.
      dtype: dtype of the computation; heatmaps are float32 always.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    decoder: str = "classic"
    num_joints: int = 17
    position_grid: tuple[int, ...] = ()
    ratio: int = 4
    epsilon: float = 1e-6
    kernel_init: Initializer = VIT_INIT
    dtype: Dtype | None = None
    size_multiple = PATCH

    @staticmethod
    def finest(features: dict[str, jax.Array]) -> tuple[jax.Array, ...]:
        """Of what the layers compute, that of the heatmaps' size."""
        return (features["decoded"],)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, return_features: bool = False) -> Any:
        """Estimate heatmaps.

        Args:
          images: float32 [B, H, W, 3], normalised RGB (`ops.images.normalize`).
          train: the decoder normalises with the batch's statistics and updates the running ones.
          return_features: also return "tokens" [B, H/16, W/16, D] and "decoded" [B, H/4, W/4, C].

        Returns:
          heatmaps float32 [B, H/4, W/4, K], or the pair (heatmaps, features).

        Raises:
          InputError: an option is unknown or does not fit, or H or W is not a multiple of 16.
        """
        self._check(images)
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        patches = nn.Conv(self.width, (PATCH, PATCH), strides=PATCH, padding=PATCH_PADDING, name="patches", **options)
        x = patches(images)
        size, rows, columns, _ = x.shape
        x = x.reshape(size, rows * columns, self.width) + self._positions(rows, columns).astype(x.dtype)
        block = TransformerBlock(self.heads, self.ratio, self.epsilon, name="blocks", **options)
        x = repeat_blocks(block, x, train, self.depth)
        x = nn.LayerNorm(epsilon=self.epsilon, dtype=self.dtype, name="norm")(x)
        tokens = x.reshape(size, rows, columns, self.width)

        kernel = 3 if self.decoder == "simple" else 1
        if self.decoder == "simple":
            x = jax.image.resize(nn.relu(tokens), (size, 4 * rows, 4 * columns, self.width), "bilinear")
        else:
            x = deconvolutions(tokens, 2, train, self.dtype)
        pad = (kernel // 2, kernel // 2)
        head = nn.Conv(
            self.num_joints,
            (kernel, kernel),
            padding=(pad, pad),
            kernel_init=LINEAGE_INIT,
            dtype=self.dtype,
            name="final_layer",
        )
        heatmaps = head(x).astype(jnp.float32)
        return (heatmaps, {"tokens": tokens, "decoded": x}) if return_features else heatmaps

    def _positions(self, rows: int, columns: int) -> jax.Array:
        """What is added to every token, [1, rows * columns, D]."""
        grid = tuple(self.position_grid) or (rows, columns)
        embedding = self.param("position", VIT_INIT, (1, grid[0] * grid[1] + 1, self.width))
        if grid != (rows, columns):
            logger.info(
                "ViTPose: position embedding interpolated from %d x %d patches to %d x %d", *grid, rows, columns
            )
        return patch_positions(embedding, grid, (rows, columns))

    def _check(self, images: jax.Array) -> None:
        if self.decoder not in DECODERS:
            raise InputError(f"ViTPose decoder={self.decoder!r}: choose one of {', '.join(DECODERS)}")
        if self.width % self.heads or min(self.width, self.heads, self.depth, self.ratio) < 1:
            raise InputError(
                f"ViTPose width={self.width}, depth={self.depth}, heads={self.heads}, ratio={self.ratio}: each must be "
                "at least 1, and heads divide the width"
            )
        if self.position_grid and (len(self.position_grid) != 2 or min(self.position_grid) < 1):
            raise InputError(
                f"ViTPose position_grid={self.position_grid}: give rows and columns of patches, e.g. (16, 12)"
            )
        if images.ndim != 4 or images.shape[-1] != 3:
            raise InputError(f"ViTPose reads images [B, H, W, 3], not {list(images.shape)}")
        height, width = images.shape[1:3]
        if height % PATCH or width % PATCH or not height or not width:
            raise InputError(
                f"ViTPose reads images whose height and width are multiples of {PATCH}, not {height} x {width}: resize "
                "or pad them"
            )

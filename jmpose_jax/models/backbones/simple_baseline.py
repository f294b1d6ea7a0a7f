"""SimpleBaseline: a ResNet, three transposed convolutions, and a heatmap head (Xiao et al., ECCV 2018)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import (
    DEFAULT_INIT,
    LINEAGE_INIT,
    BatchNorm,
    Bottleneck,
    ConvBN,
    Dtype,
    Initializer,
    ResidualLayer,
)

RESNET_LAYERS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
DECONV_FEATURES = 256
# A transposed convolution of kernel 4, stride 2 and PyTorch padding 1 doubles the size. JAX pads the spread-out input:
# kernel - 1 - padding = 2 pixels on every side.
DECONV_PADDING = ((2, 2), (2, 2))


class SimpleBaseline(nn.Module):
    """ResNet and a heatmap head of three transposed convolutions.

    Attributes:
      depth: 50, 101 or 152 layers of the ResNet.
      num_joints: heatmaps, K.
      kernel_init: initialiser of the ResNet's kernels; those of the head are N(0, 0.001), as published.
      dtype: dtype of the computation; heatmaps are float32 always.
    """

    depth: int = 50
    num_joints: int = 17
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None
    size_multiple = 32

    @staticmethod
    def finest(features: dict[str, jax.Array]) -> tuple[jax.Array, ...]:
        """Of what the layers compute, that of the heatmaps' size."""
        return (features["deconv_layers"],)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, return_features: bool = False) -> Any:
        """Estimate heatmaps.

        Args:
          images: float32 [B, H, W, 3], normalised RGB (`ops.images.normalize`).
          train: normalise with the batch's statistics and update the running ones.
          return_features: also return "layer1" to "layer4" and "deconv_layers".

        Returns:
          heatmaps float32 [B, H/4, W/4, K], or the pair (heatmaps, features).

        Raises:
          InputError: the depth is unknown, or H or W is not a multiple of 32.
        """
        self._check(images)
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        features: dict[str, jax.Array] = {}
        x = ConvBN(64, 7, strides=2, activation=nn.relu, name="conv1", **options)(images, train)
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for i, (width, blocks) in enumerate(zip(WIDTHS, RESNET_LAYERS[self.depth]), start=1):
            strides = 1 if i == 1 else 2
            x = ResidualLayer(Bottleneck, width, blocks, strides=strides, name=f"layer{i}", **options)(x, train)
            features[f"layer{i}"] = x
        x = deconvolutions(x, 3, train, self.dtype)
        features["deconv_layers"] = x
        head = nn.Conv(self.num_joints, (1, 1), kernel_init=LINEAGE_INIT, dtype=self.dtype, name="final_layer")
        heatmaps = head(x).astype(jnp.float32)
        return (heatmaps, features) if return_features else heatmaps

    def _check(self, images: jax.Array) -> None:
        if self.depth not in RESNET_LAYERS:
            raise InputError(f"SimpleBaseline depth={self.depth}: choose one of {sorted(RESNET_LAYERS)}")
        if images.ndim != 4 or images.shape[-1] != 3:
            raise InputError(f"SimpleBaseline reads images [B, H, W, 3], not {list(images.shape)}")
        height, width = images.shape[1:3]
        if height % 32 or width % 32 or not height or not width:
            raise InputError(
                f"SimpleBaseline reads images whose height and width are multiples of 32, not {height} x {width}: "
                "resize or pad them"
            )


def deconvolutions(x: jax.Array, count: int, train: bool, dtype: Any) -> jax.Array:
    """Transposed convolutions, each of which doubles the sides: submodules deconv0, … of the caller.

    Args:
      x: [B, h, w, C].
      count: n.
      train: normalise with the batch's statistics.
      dtype: of the computation.

    Returns:
      [B, 2^n h, 2^n w, DECONV_FEATURES].
    """
    for i in range(count):
        x = nn.ConvTranspose(
            DECONV_FEATURES,
            (4, 4),
            strides=(2, 2),
            padding=DECONV_PADDING,
            use_bias=False,
            kernel_init=LINEAGE_INIT,
            dtype=dtype,
            name=f"deconv{i}",
        )(x)
        x = nn.relu(BatchNorm(dtype=dtype, name=f"deconv{i}_bn")(x, train))
    return x

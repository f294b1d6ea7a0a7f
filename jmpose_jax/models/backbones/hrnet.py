"""HRNet: a network that keeps its finest resolution throughout (Sun et al., CVPR 2019).

A stem brings the image to a quarter of its size. Stages 2, 3 and 4 then work on two, three and four branches, each
half the size and twice the width of the one above; after every module of a stage each branch receives the sum of all.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.blocks import (
    DEFAULT_INIT,
    LINEAGE_INIT,
    BasicBlock,
    Bottleneck,
    ConvBN,
    Dtype,
    Initializer,
    ResidualLayer,
    repeat_blocks,
)

Branches = tuple[jax.Array, ...]
STEM_BLOCKS = {"bottleneck": Bottleneck, "basic": BasicBlock}


def upsample_nearest(x: jax.Array, factor: int) -> jax.Array:
    """Repeat every pixel of x [B, H, W, C] `factor` times in both directions."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, factor, w, factor, c))
    return x.reshape(b, h * factor, w * factor, c)


class HighResolutionModule(nn.Module):
    """Residual blocks on every branch, then the exchange between the branches.

    Attributes:
      widths: channels of the branches, finest first.
      num_blocks: blocks on each branch.
      num_outputs: how many of the finest branches receive the exchange and are returned.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    widths: tuple[int, ...]
    num_blocks: int
    num_outputs: int
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, branches: Branches, train: bool = False) -> Branches:
        """Args: branches, array b [B, H / 2^b, W / 2^b, widths[b]]. Returns: the first `num_outputs`, same shapes."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        branches = tuple(
            repeat_blocks(BasicBlock(width, name=f"branch{b}", **options), x, train, self.num_blocks)
            for b, (width, x) in enumerate(zip(self.widths, branches))
        )
        outputs = []
        for target in range(self.num_outputs):
            terms = (self._exchange(x, source, target, train) for source, x in enumerate(branches))
            outputs.append(nn.relu(sum(terms)))
        return tuple(outputs)

    def _exchange(self, x: jax.Array, source: int, target: int, train: bool) -> jax.Array:
        """Bring the features of branch `source` to the size and width of branch `target`."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        name = f"fuse{target}_{source}"
        if source > target:
            x = ConvBN(self.widths[target], 1, name=name, **options)(x, train)
            return upsample_nearest(x, 2 ** (source - target))
        for step in range(target - source):
            last = step == target - source - 1
            width = self.widths[target if last else source]
            activation = None if last else nn.relu
            x = ConvBN(width, strides=2, activation=activation, name=f"{name}_{step}", **options)(x, train)
        return x


class HRNet(nn.Module):
    """HRNet with a heatmap head.

    The defaults are the published HRNet-W48; `width=32` gives HRNet-W32. A small network for a small machine:
    `HRNet(width=16, num_joints=15, stem_features=(16, 16), stem_block="basic", stem_blocks=1, stage_modules=(1, 1),
    blocks_per_branch=1)`.

    Attributes:
      width: channels of the finest branch; branch b has width * 2^b.
      num_joints: heatmaps, K.
      stem_features: channels of the two stride-2 convolutions of the stem.
      stem_block: "bottleneck" (output 4 * stem_features[1]) or "basic".
      stem_blocks: blocks of the stem's layer.
      stage_modules: modules of each stage; stage i (from 2) has i branches, so three entries make four branches.
      blocks_per_branch: residual blocks of a branch in each module.
      all_scales: let the last stage return every branch, which multi-scale heads need; the heatmaps stay the same.
      kernel_init: initialiser of all kernels but the head's, fan-in scaled for training from nothing;
        `blocks.LINEAGE_INIT` is that of the published code. The head's is always N(0, 0.001).
      dtype: dtype of the computation; heatmaps are float32 always.
    """

    width: int = 48
    num_joints: int = 17
    stem_features: tuple[int, int] = (64, 64)
    stem_block: str = "bottleneck"
    stem_blocks: int = 4
    stage_modules: tuple[int, ...] = (1, 4, 3)
    blocks_per_branch: int = 4
    all_scales: bool = False
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @property
    def size_multiple(self) -> int:
        """Height and width of the images must be multiples of this."""
        return 4 * 2 ** len(self.stage_modules)

    @staticmethod
    def finest(features: dict[str, Any]) -> tuple[jax.Array, ...]:
        """Of what the stages compute, the branch of the heatmaps' size after each, earliest first."""
        names = ["transition1"] + sorted(name for name in features if name.startswith("stage"))
        return tuple(features[name][0] for name in names)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, return_features: bool = False) -> Any:
        """Estimate heatmaps.

        Args:
          images: float32 [B, H, W, 3], normalised RGB (`ops.images.normalize`).
          train: normalise with the batch's statistics and update the running ones.
          return_features: also return what the stages compute.

        Returns:
          heatmaps float32 [B, H/4, W/4, K]; with `return_features` a pair (heatmaps, features), where features maps
          "layer1" to [B, H/4, W/4, C] and "transition1", "stage2", "transition2", "stage3", … to tuples of branches,
          branch b of shape [B, H / 2^(b+2), W / 2^(b+2), width * 2^b].

        Raises:
          InputError: H or W is not a multiple of `size_multiple`, or an attribute is out of range.
        """
        self._check(images)
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        features: dict[str, Any] = {}

        x = ConvBN(self.stem_features[0], strides=2, activation=nn.relu, name="conv1", **options)(images, train)
        x = ConvBN(self.stem_features[1], strides=2, activation=nn.relu, name="conv2", **options)(x, train)
        block = STEM_BLOCKS[self.stem_block]
        x = ResidualLayer(block, self.stem_features[1], self.stem_blocks, name="layer1", **options)(x, train)
        features["layer1"] = x

        branches: Branches = (x,)
        for stage, num_modules in enumerate(self.stage_modules, start=2):
            widths = tuple(self.width * 2**b for b in range(stage))
            branches = self._transition(branches, widths, stage - 1, train)
            features[f"transition{stage - 1}"] = branches
            last = stage == len(self.stage_modules) + 1
            branches = self._stage(branches, widths, stage, num_modules, last and not self.all_scales, train)
            features[f"stage{stage}"] = branches

        head = nn.Conv(self.num_joints, (1, 1), kernel_init=LINEAGE_INIT, dtype=self.dtype, name="final_layer")
        heatmaps = head(branches[0]).astype(jnp.float32)
        return (heatmaps, features) if return_features else heatmaps

    def _transition(self, branches: Branches, widths: tuple[int, ...], number: int, train: bool) -> Branches:
        """Adapt the widths, and derive one more branch of half the size from the coarsest."""
        options = dict(activation=nn.relu, kernel_init=self.kernel_init, dtype=self.dtype)
        outputs = []
        for b, width in enumerate(widths):
            x = branches[min(b, len(branches) - 1)]
            name = f"transition{number}_{b}"
            if b == len(branches):
                x = ConvBN(width, strides=2, name=name, **options)(x, train)
            elif x.shape[-1] != width:
                x = ConvBN(width, name=name, **options)(x, train)
            outputs.append(x)
        return tuple(outputs)

    def _stage(
        self, branches: Branches, widths: tuple[int, ...], number: int, num_modules: int, finest_only: bool, train: bool
    ) -> Branches:
        """The modules of one stage; the very last module need only feed the finest branch."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        repeated = num_modules - 1 if finest_only else num_modules
        if repeated:
            module = HighResolutionModule(widths, self.blocks_per_branch, len(widths), name=f"stage{number}", **options)
            branches = repeat_blocks(module, branches, train, repeated, outer=True)
        if finest_only:
            module = HighResolutionModule(widths, self.blocks_per_branch, 1, name=f"stage{number}_last", **options)
            branches = module(branches, train)
        return branches

    def _check(self, images: jax.Array) -> None:
        if self.stem_block not in STEM_BLOCKS:
            raise InputError(f"HRNet stem_block={self.stem_block!r}: choose one of {', '.join(STEM_BLOCKS)}")
        if min(self.stage_modules, default=0) < 1 or self.blocks_per_branch < 1 or self.stem_blocks < 1:
            raise InputError(
                f"HRNet stage_modules={self.stage_modules}, blocks_per_branch={self.blocks_per_branch}, "
                f"stem_blocks={self.stem_blocks}: each count must be at least 1"
            )
        if images.ndim != 4 or images.shape[-1] != 3:
            raise InputError(f"HRNet reads images [B, H, W, 3], not {list(images.shape)}")
        height, width = images.shape[1:3]
        multiple = self.size_multiple
        if height % multiple or width % multiple or not height or not width:
            raise InputError(
                f"HRNet with {len(self.stage_modules) + 1} branches reads images whose height and width are multiples "
                f"of {multiple}, not {height} x {width}: resize or pad them"
            )

"""The building blocks that HRNet, SimpleBaseline and the heads of JM-Pose share.

Every module is called as `module(x, train)`: `train=False` normalises with the running statistics, `train=True` with
those of the batch and updates the running ones (collection "batch_stats").
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models import remat
from jmpose_jax.ops.convolution import conv_general_dilated

Dtype = Any
Initializer = Callable[..., jax.Array]

# The HRNet lineage draws every kernel from N(0, 0.001), which suits a network that starts from published weights. A
# small network that starts from nothing learns far sooner from kernels scaled by their fan-in: these are the default.
LINEAGE_INIT = nn.initializers.normal(1e-3)
DEFAULT_INIT = nn.initializers.lecun_normal()
INITIALIZERS = {"fan_in": DEFAULT_INIT, "lineage": LINEAGE_INIT}  # a model's option "kernel_init"

# PyTorch's momentum of 0.1 is the weight of the new value; Flax states that of the old one.
BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5


def initializer(name: str) -> Initializer:
    """The initialiser of kernels that a model's option "kernel_init" names.

    Raises:
      InputError: there is none of that name.
    """
    if name not in INITIALIZERS:
        raise InputError(f"kernel_init={name!r}: choose one of {', '.join(INITIALIZERS)}")
    return INITIALIZERS[name]


def same_padding(kernel_size: int, dilation: int = 1) -> tuple[tuple[int, int], tuple[int, int]]:
    """The symmetric padding of the originals: (k - 1) / 2 pixels times the dilation on every side.

    "SAME" would put a stride-2 convolution's padding on the bottom right only and shift the features by a pixel.
    """
    pad = dilation * (kernel_size - 1) // 2
    return ((pad, pad), (pad, pad))


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with PyTorch's momentum and epsilon.

    The running variance is the biased one (divided by N), where PyTorch keeps the unbiased one.
    """

    dtype: Dtype | None = None
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            dtype=self.dtype,
            scale_init=self.scale_init,
            name="norm",
        )(x)


class ConvBN(nn.Module):
    """Convolution, batch normalisation and, where asked, an activation.

    Attributes:
      features: output channels.
      kernel_size: side of the square kernel.
      strides: stride in both directions.
      dilation: spacing of the taps in both directions.
      use_bias: add a bias before the normalisation (the RSB blocks do).
      activation: applied last; None leaves the normalised values.
      kernel_init: initialiser of the kernel.
      dtype: dtype of the computation; parameters stay float32.
    """

    features: int
    kernel_size: int = 3
    strides: int = 1
    dilation: int = 1
    use_bias: bool = False
    activation: Callable[[jax.Array], jax.Array] | None = None
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, ceil(H / strides), ceil(W / strides), features]."""
        x = nn.Conv(
            self.features,
            (self.kernel_size, self.kernel_size),
            strides=self.strides,
            padding=same_padding(self.kernel_size, self.dilation),
            kernel_dilation=self.dilation,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            conv_general_dilated=conv_general_dilated,
            name="conv",
        )(x)
        x = BatchNorm(dtype=self.dtype, name="bn")(x, train)
        return x if self.activation is None else self.activation(x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where shape changes (He et al. 2016).

    Attributes:
      features: output channels.
      strides: stride of the first convolution and of the shortcut.
      project: put the 1x1 convolution on the shortcut even where the shape stays.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    features: int
    strides: int = 1
    project: bool = False
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H / strides, W / strides, features]."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        y = ConvBN(self.features, strides=self.strides, activation=nn.relu, name="conv1", **options)(x, train)
        y = ConvBN(self.features, name="conv2", **options)(y, train)
        if self.project or x.shape != y.shape:
            x = ConvBN(self.features, 1, strides=self.strides, name="shortcut", **options)(x, train)
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; the output has 4 * features channels (He et al. 2016).

    The stride sits on the 3x3 convolution, as in PyTorch's models.

    Attributes:
      features: channels of the 3x3 convolution.
      strides: stride of the 3x3 convolution and of the shortcut.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    features: int
    strides: int = 1
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H / strides, W / strides, 4 * features]."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        outer = self.features * self.expansion
        y = ConvBN(self.features, 1, activation=nn.relu, name="conv1", **options)(x, train)
        y = ConvBN(self.features, strides=self.strides, activation=nn.relu, name="conv2", **options)(y, train)
        y = ConvBN(outer, 1, name="conv3", **options)(y, train)
        if x.shape != y.shape:
            x = ConvBN(outer, 1, strides=self.strides, name="shortcut", **options)(x, train)
        return nn.relu(x + y)


def repeat_blocks(block: nn.Module, x: Any, train: bool, length: int, *, outer: bool = False) -> Any:
    """Apply `length` blocks of equal shape, each with parameters of its own, as one compiled body.

    Parameters and statistics get a leading axis of `length`. XLA compiles the body once: a training step of HRNet
    compiles in a third of the time of the unrolled form and runs as fast.

    Args:
      block: a module called as `block(x, train)` that returns what it was given, in form and shape.
      x: array or tuple of arrays.
      train: passed on.
      length: how many.
      outer: the block is made of blocks, which are what rematerialisation computes again.

    Returns:
      The last block's output.
    """

    def apply(module: nn.Module, x: Any) -> Any:
        return module(x, train) if outer else remat.call(module, x, train=train)

    if length == 1:
        return apply(block, x)
    scan = nn.scan(
        lambda module, carry, _: (apply(module, carry), None),
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True},
        length=length,
    )
    return scan(block, x, None)[0]


class ResidualLayer(nn.Module):
    """A stage of a residual network: a first block that may change the shape, then blocks that keep it.

    Attributes:
      block: BasicBlock or Bottleneck.
      features: the block's features.
      num_blocks: how many blocks, the first one included.
      strides: stride of the first block.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    block: type[nn.Module]
    features: int
    num_blocks: int
    strides: int = 1
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H / strides, W / strides, the block's output channels]."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        first = self.block(self.features, strides=self.strides, name="first", **options)
        x = remat.call(first, x, train=train)
        if self.num_blocks > 1:
            x = repeat_blocks(self.block(self.features, name="blocks", **options), x, train, self.num_blocks - 1)
        return x


class ChainOfBasicBlocks(nn.Module):
    """`num_blocks` BasicBlocks in a row, the first with a 1x1 convolution on its shortcut.

    The lineage of JM-Pose projects the first shortcut even where the channels stay: 44,064 parameters for one block
    from 48 to 48 channels, of which 2,400 are the projection's.

    Attributes:
      features: output channels of every block.
      num_blocks: how many blocks.
      project: False leaves the projection out where the channels stay.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    features: int
    num_blocks: int = 1
    project: bool = True
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H, W, features]."""
        options = dict(kernel_init=self.kernel_init, dtype=self.dtype)
        repeated = self.num_blocks
        if repeated and (self.project or x.shape[-1] != self.features):
            x = remat.call(BasicBlock(self.features, project=True, name="first", **options), x, train=train)
            repeated -= 1
        if repeated:
            x = repeat_blocks(BasicBlock(self.features, name="blocks", **options), x, train, repeated)
        return x


class RSBBlock(nn.Module):
    """Residual steps block: four channel groups that pass through one to four 3x3 convolutions (Cai et al. 2020).

    Step s of group g reads step s of group g - 1 added to its own step s - 1, so the groups see growing receptive
    fields of the same input. Groups are 26 / 64 of the input's channels wide, rounded down.

    Attributes:
      features: output channels.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    features: int
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None
    num_groups = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H, W, features]."""
        options = dict(use_bias=True, kernel_init=self.kernel_init, dtype=self.dtype)
        width = x.shape[-1] * 26 // 64
        entry = ConvBN(self.num_groups * width, 1, activation=nn.relu, name="conv1", **options)(x, train)
        groups = []
        above: list[jax.Array] = []
        for g, y in enumerate(jnp.split(entry, self.num_groups, axis=-1)):
            steps: list[jax.Array] = []
            for s in range(g + 1):
                if s < len(above):
                    y = y + above[s]
                y = ConvBN(width, activation=nn.relu, name=f"conv2_{g + 1}_{s + 1}", **options)(y, train)
                steps.append(y)
            groups.append(y)
            above = steps
        y = ConvBN(self.features, 1, name="conv3", **options)(jnp.concatenate(groups, axis=-1), train)
        if x.shape[-1] != self.features:
            x = ConvBN(self.features, 1, name="shortcut", **options)(x, train)
        return nn.relu(x + y)


class ChainOfRSBBlocks(nn.Module):
    """`num_blocks` RSBBlocks in a row, all with `features` output channels.

    Attributes:
      features: output channels of every block.
      num_blocks: how many blocks.
      kernel_init: initialiser of the kernels.
      dtype: dtype of the computation.
    """

    features: int
    num_blocks: int = 1
    kernel_init: Initializer = DEFAULT_INIT
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Args: x [B, H, W, C]. Returns: [B, H, W, features]."""
        for i in range(self.num_blocks):
            block = RSBBlock(self.features, kernel_init=self.kernel_init, dtype=self.dtype, name=f"block{i}")
            x = remat.call(block, x, train=train)
        return x

"""MoveNet (Google, 2021): MobileNetV2, a feature pyramid, and heads at stride 4 for centres, joints and boxes.

There is no paper; the layout is that of the published graphs, batch norms folded into the convolutions.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.models.parameters import Conv, Shaped
from jmpose_jax.ops.depthwise import depthwise_conv

STRIDE = 4  # image pixels a cell of the heads
SIZE_MULTIPLE = 32
SCALE = 0.00784302  # 1 / 127.5 as the published graphs hold it, in float16
EXPANSION = 6
LAST = 1280
PYRAMID = (64, 32, 24)  # widths of the laterals, from stride 32 to stride 4
FUSED = (32, 24, 24)
HIDDEN = 96
# (blocks, stride of the first) of MobileNetV2's seven stages, and those whose results the pyramid takes.
STAGES = ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1))
TAPPED = (1, 2, 3)

JOINTS = 17  # of COCO
SINGLE = {"center": 1, "kpt_heatmap": JOINTS, "kpt_regress": 2 * JOINTS, "kpt_offset": 2 * JOINTS}


@dataclasses.dataclass(frozen=True)
class Variant:
    """What distinguishes the published models.

    Attributes:
      stem: channels of the first convolution.
      widths: channels of the seven stages.
      heads: channels of every head by its name.
      size: (height, width) of the images that the model is published for; None for any.
    """

    stem: int
    widths: tuple[int, ...]
    heads: dict[str, int]
    size: tuple[int, int] | None


VARIANTS = {
    "thunder": Variant(56, (32, 40, 56, 112, 168, 280, 560), SINGLE, (256, 256)),
    "lightning": Variant(32, (16, 24, 32, 64, 96, 160, 320), SINGLE, (192, 192)),
    "multipose": Variant(48, (24, 40, 48, 96, 144, 240, 480), SINGLE | {"box_scale": 2, "box_offset": 2}, None),
}


def relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0.0, 6.0)


class Depthwise(Shaped):
    """A depthwise 3x3 convolution with TensorFlow's SAME padding.

    Attributes:
      stride: 1 or 2.
      use_bias: add a bias.
    """

    stride: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Args: x [N, H, W, C]. Returns: [N, ceil(H / stride), ceil(W / stride), C]."""
        channels = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (3, 3, 1, channels))
        y = depthwise_conv(x, kernel, self.stride)
        return y + self.param("bias", nn.initializers.zeros, (channels,)) if self.use_bias else y


class SeparableConv(nn.Module):
    """A depthwise 3x3 convolution without bias, a 1x1 one, and a rectifier.

    Attributes:
      features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Args: x [N, H, W, C]. Returns: [N, H, W, features]."""
        x = Depthwise(use_bias=False, name="depthwise")(x)
        return nn.relu(pointwise(self.features, "pointwise")(x))


def pointwise(features: int, name: str) -> Conv:
    return Conv(features, (1, 1), padding=((0, 0), (0, 0)), name=name)


class MoveNet(nn.Module):
    """What MoveNet says of an image before it is decoded (`models.movenet.decoding`).

    Attributes:
      variant: "thunder" (one person, 256x256), "lightning" (one person, 192x192) or "multipose" (several, any size).
    """

    variant: str = "thunder"

    @nn.compact
    def __call__(self, images: jax.Array) -> dict[str, jax.Array]:
        """Run the network.

        Args:
          images: [N, H, W, 3], RGB in 0..255, uint8 or float; H and W multiples of 32.

        Returns:
          float32 maps at stride 4 by head: "center" [N, H/4, W/4, 1], "kpt_heatmap" [..., 17] (both before the
          sigmoid), "kpt_regress" and "kpt_offset" [..., 34], of multipose "box_scale" and "box_offset" [..., 2]; pairs
          are (y, x) in cells. Joints in the order of `skeletons.COCO17`.

        Raises:
          InputError: no such variant, or images of another shape.
        """
        self._check(images)
        variant = VARIANTS[self.variant]
        x = images.astype(jnp.float32) * SCALE - 1.0
        stem = Conv(variant.stem, (3, 3), (2, 2), padding=((0, 1), (0, 1)), name="stem")
        x, taps = relu6(stem(x)), []
        number = 0
        for stage, (width, (blocks, stride)) in enumerate(zip(variant.widths, STAGES)):
            for block in range(blocks):
                x = InvertedResidual(width, stride if block == 0 else 1, number > 0, name=f"block_{number}")(x)
                number += 1
            if stage in TAPPED:
                taps.append(x)

        x = pointwise(PYRAMID[0], "lateral_0")(relu6(pointwise(LAST, "last")(x)))
        for i, (tap, lateral, fused) in enumerate(zip(reversed(taps), PYRAMID, FUSED)):
            height, width = tap.shape[1:3]
            larger = jax.image.resize(x, (x.shape[0], height, width, x.shape[-1]), "linear")
            x = larger + pointwise(lateral, f"lateral_{i + 1}")(tap)
            x = SeparableConv(fused, name=f"fuse_{i}")(x)

        heads = {}
        for name, channels in variant.heads.items():
            hidden = SeparableConv(HIDDEN, name=f"{name}_hidden")(x)
            heads[name] = pointwise(channels, name)(hidden)
        return heads

    def _check(self, images: jax.Array) -> None:
        if self.variant not in VARIANTS:
            raise InputError(f"MoveNet variant={self.variant!r}: choose one of {', '.join(VARIANTS)}")
        if images.ndim != 4 or images.shape[-1] != 3:
            raise InputError(f"MoveNet reads images [N, H, W, 3], not {list(images.shape)}")
        height, width = images.shape[1:3]
        if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE or not height or not width:
            raise InputError(
                f"MoveNet reads images whose height and width are multiples of {SIZE_MULTIPLE}, not {height} x "
                f"{width}: resize or pad them"
            )


class InvertedResidual(nn.Module):
    """A block of MobileNetV2: expand, depthwise, project; added to its input where the shape stays.

    Attributes:
      features: output channels.
      stride: of the depthwise convolution.
      expand: widen by EXPANSION first.
    """

    features: int
    stride: int
    expand: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Args: x [N, H, W, C]. Returns: [N, H / stride, W / stride, features]."""
        y = x
        if self.expand:
            y = relu6(pointwise(EXPANSION * x.shape[-1], "expand")(y))
        y = relu6(Depthwise(self.stride, name="depthwise")(y))
        y = pointwise(self.features, "project")(y)
        return x + y if self.stride == 1 and x.shape[-1] == self.features else y

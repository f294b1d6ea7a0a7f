"""The shapes of one deformable convolution, checked once for every implementation."""

import dataclasses

import jax

from jmpose_jax.errors import InputError


def _pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2:
        raise InputError(f"modulated_deform_conv2d: {name} must be one integer or two (y, x), got {value!r}")
    return pair


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Static facts of a call: sizes, strides and groups, all plain integers.

    Attributes:
      batch, height, width, channels: the shape of x.
      out_height, out_width: the shape of the result.
      kernel_height, kernel_width: the taps of the kernel.
      out_channels: O.
      groups: channel groups, C / (the kernel's input channels).
      offset_groups: G, contiguous runs of channels that share their offsets and mask.
      stride, padding, dilation: (y, x).
    """

    batch: int
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    kernel_height: int
    kernel_width: int
    out_channels: int
    groups: int
    offset_groups: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def taps(self) -> int:
        return self.kernel_height * self.kernel_width


def geometry(
    x: jax.Array,
    offset: jax.Array,
    mask: jax.Array | None,
    kernel: jax.Array,
    bias: jax.Array | None,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    dilation: int | tuple[int, int],
) -> Geometry:
    """Returns the checked geometry of a call; raises InputError naming the first array whose shape does not fit."""
    if x.ndim != 4 or kernel.ndim != 4 or offset.ndim != 6:
        raise InputError(
            "modulated_deform_conv2d: need x [B,H,W,C], kernel [kh,kw,C/groups,O], offset [B,Ho,Wo,G,kh*kw,2]; "
            f"got {x.shape}, {kernel.shape}, {offset.shape}"
        )
    stride, padding, dilation = _pair(stride, "stride"), _pair(padding, "padding"), _pair(dilation, "dilation")
    batch, height, width, channels = x.shape
    kernel_height, kernel_width, group_channels, out_channels = kernel.shape
    if group_channels == 0 or channels % group_channels or out_channels % (channels // group_channels):
        raise InputError(
            f"modulated_deform_conv2d: kernel {kernel.shape} does not divide the {channels} channels of x {x.shape} "
            "into groups that also divide its outputs"
        )
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip((height, width), padding, dilation, (kernel_height, kernel_width), stride)
    ]
    offset_groups = offset.shape[3]
    expected = (batch, *size, offset_groups, kernel_height * kernel_width, 2)
    if offset_groups == 0 or channels % offset_groups or offset.shape != expected:
        raise InputError(
            f"modulated_deform_conv2d: offset must be {expected[:3] + ('G',) + expected[4:]} with G dividing "
            f"{channels} channels, got {offset.shape}"
        )
    if mask is not None and mask.shape != expected[:-1]:
        raise InputError(f"modulated_deform_conv2d: mask must be {expected[:-1]}, got {mask.shape}")
    if bias is not None and bias.shape != (out_channels,):
        raise InputError(f"modulated_deform_conv2d: bias must be {(out_channels,)}, got {bias.shape}")
    return Geometry(
        batch, height, width, channels, size[0], size[1], kernel_height, kernel_width, out_channels,
        channels // group_channels, offset_groups, stride, padding, dilation,
    )  # fmt: skip

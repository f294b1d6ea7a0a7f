"""The public deformable convolution."""

import jax

from jmpose_jax.ops.deform_conv.dispatch import IMPLEMENTATIONS, Choice, choose, warn_once
from jmpose_jax.ops.deform_conv.geometry import geometry

__all__ = ["IMPLEMENTATIONS", "Choice", "choose", "modulated_deform_conv2d"]


def modulated_deform_conv2d(
    x: jax.Array,
    offset: jax.Array,
    mask: jax.Array | None,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    implementation: str | None = None,
) -> jax.Array:
    """Modulated deformable convolution (DCNv2), as torchvision's deform_conv2d computes it.

    Tap k of output (oy, ox) reads x at (oy * stride - padding + ky * dilation + Δy, the same in x) by bilinear
    interpolation in which every corner outside the image counts as zero; the sample is multiplied by the mask and
    enters an ordinary convolution. At integer positions the gradient of the offset is the one from the right.

    Args:
      x: [B, H, W, C], float32 or bfloat16 (sums are float32 in either case).
      offset: [B, Ho, Wo, G, kh * kw, 2], (Δy, Δx) in pixels of x; group g moves the g-th run of C / G channels.
      mask: [B, Ho, Wo, G, kh * kw], or None for all ones.
      kernel: [kh, kw, C / groups, O].
      bias: [O] or None.
      stride, padding, dilation: one integer, or two as (y, x).
      implementation: a key of IMPLEMENTATIONS; None picks the one for this platform and shape (see `choose`). What a
        kernel cannot take, plain XLA computes, with one warning that says why.

    Returns:
      [B, Ho, Wo, O] in the dtype of x.

    Raises:
      InputError: a shape does not fit or the implementation is unknown.
    """
    shapes = geometry(x, offset, mask, kernel, bias, stride, padding, dilation)
    choice = choose(shapes, x.dtype, implementation)
    warn_once(choice)
    out = IMPLEMENTATIONS[choice.implementation](x, offset, mask, kernel, shapes)
    if bias is not None:
        out = out + bias
    return out.astype(x.dtype)

"""The public deformable convolution and the choice among its implementations."""

from collections.abc import Callable

import jax

from jmpose_jax.errors import InputError
from jmpose_jax.ops.deform_conv import reference
from jmpose_jax.ops.deform_conv.geometry import geometry

# name -> function(x, offset, mask, kernel, geometry) -> float32 [B,Ho,Wo,O], without the bias. Kernels register here.
IMPLEMENTATIONS: dict[str, Callable[..., jax.Array]] = {"xla": reference.modulated_deform_conv2d}


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
      implementation: a key of IMPLEMENTATIONS; None picks the one for this platform and shape.

    Returns:
      [B, Ho, Wo, O] in the dtype of x.

    Raises:
      InputError: a shape does not fit or the implementation is unknown.
    """
    shapes = geometry(x, offset, mask, kernel, bias, stride, padding, dilation)
    name = "xla" if implementation is None else implementation
    if name not in IMPLEMENTATIONS:
        known = ", ".join(sorted(IMPLEMENTATIONS))
        raise InputError(f"modulated_deform_conv2d: unknown implementation {name!r}; choose one of: {known}")
    out = IMPLEMENTATIONS[name](x, offset, mask, kernel, shapes)
    if bias is not None:
        out = out + bias
    return out.astype(x.dtype)

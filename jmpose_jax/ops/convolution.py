"""A 2-D convolution whose gradient stays fast inside `scan` on CPUs.

XLA's CPU compiler hands a convolution to its fast routine only in the layout [B, H, W, C] x [h, w, I, O], and rewrites
others to it only in the outermost computation. The gradients that JAX derives come in other layouts; inside the loop
that a scan becomes they fall back to scalar code, 20 to 40 times slower (measured on jax 0.10.2). Here the gradients
are written in the fast layout from the start. Other platforms get JAX's own gradients.

Under `vmap` with a kernel and an image of its own for every instance, a convolution becomes a grouped one, for which
the CPU has no fast routine either (3 to 6 times the time): there the instances are convolved one after another.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

Pairs = tuple[tuple[int, int], ...]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: lax.ConvDimensionNumbers | None = None,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` for images, to be given to `flax.linen.Conv(conv_general_dilated=…)`.

    Args:
      lhs: [B, H, W, I].
      rhs: [h, w, I / groups, O].
      window_strides: strides along H and W.
      padding: pixels before and after, along H and W.
      lhs_dilation: as in JAX.
      rhs_dilation: spacing of the taps along H and W.
      dimension_numbers: the layout above, in JAX's form, or None.
      feature_group_count: groups.
      precision: as in JAX.

    Returns:
      [B, H', W', O].
    """
    plain = lhs_dilation is None or all(d == 1 for d in lhs_dilation)
    if lhs.ndim != 4 or feature_group_count != 1 or not plain:
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            LAYOUT if dimension_numbers is None else dimension_numbers,
            feature_group_count,
            precision=precision,
        )
    pairs = tuple((int(low), int(high)) for low, high in padding)
    return _conv(lhs, rhs, tuple(window_strides), pairs, tuple(rhs_dilation or (1, 1)), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _conv(x, kernel, strides, padding, dilation, precision):
    return _by_instance(x, kernel, window_strides=strides, padding=padding, rhs_dilation=dilation, precision=precision)


def _by_instance(lhs, rhs, **options):
    """A convolution that `vmap` turns into a loop over the instances where both sides have one each, on CPUs."""

    def convolve(lhs, rhs):
        return lax.conv_general_dilated(lhs, rhs, dimension_numbers=LAYOUT, **options)

    mapped = custom_vmap(convolve)

    @mapped.def_vmap
    def _(axis_size, in_batched, lhs, rhs):
        together = jax.vmap(convolve, in_axes=[0 if b else None for b in in_batched])
        if not all(in_batched):
            return together(lhs, rhs), True

        def one_by_one(lhs, rhs):
            return lax.map(lambda pair: convolve(*pair), (lhs, rhs))

        return lax.platform_dependent(lhs, rhs, cpu=one_by_one, default=together), True

    return mapped(lhs, rhs)


def _conv_forward(x, kernel, strides, padding, dilation, precision):
    return _conv(x, kernel, strides, padding, dilation, precision), (x, kernel)


def _conv_backward(strides, padding, dilation, precision, residuals, dy):
    def derived(x, kernel, dy):
        plain = partial(
            lax.conv_general_dilated,
            window_strides=strides,
            padding=padding,
            rhs_dilation=dilation,
            dimension_numbers=LAYOUT,
            precision=precision,
        )
        return jax.vjp(plain, x, kernel)[1](dy)

    def written_out(x, kernel, dy):
        dx = _gradient_of_input(x.shape, kernel, dy, strides, padding, dilation, precision)
        dkernel = _gradient_of_kernel(x, kernel.shape, dy, strides, padding, dilation, precision)
        return dx, dkernel

    return lax.platform_dependent(*residuals, dy, cpu=written_out, default=derived)


_conv.defvjp(_conv_forward, _conv_backward)


def _gradient_of_input(shape, kernel, dy, strides, padding, dilation, precision):
    """dy spread out by the strides, convolved with the mirrored kernel, its channels exchanged."""
    pads = []
    for axis in range(2):
        reach = (kernel.shape[axis] - 1) * dilation[axis]
        low = reach - padding[axis][0]
        spread = (dy.shape[1 + axis] - 1) * strides[axis] + 1
        pads.append((low, shape[1 + axis] + reach - spread - low))
    mirrored = jnp.flip(kernel, (0, 1)).transpose(0, 1, 3, 2)
    return _by_instance(
        dy,
        mirrored,
        window_strides=(1, 1),
        padding=pads,
        lhs_dilation=strides,
        rhs_dilation=dilation,
        precision=precision,
    )


def _gradient_of_kernel(x, shape, dy, strides, padding, dilation, precision):
    """x convolved with dy as the kernel, summed over the batch as if it were the channels."""
    pads = []
    for axis in range(2):
        low = padding[axis][0]
        window = (dy.shape[1 + axis] - 1) * strides[axis] + 1
        needed = window + (shape[axis] - 1) * dilation[axis]
        pads.append((low, needed - x.shape[1 + axis] - low))
    dkernel = _by_instance(
        x.transpose(3, 1, 2, 0),
        dy.transpose(1, 2, 0, 3),
        window_strides=dilation,
        padding=pads,
        rhs_dilation=strides,
        precision=precision,
    )
    return dkernel.transpose(1, 2, 0, 3)

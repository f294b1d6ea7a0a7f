"""Deformable convolution on TPU: samples as products of the image with matrices of triangle functions.

A TPU has no fast gather, but a bilinear sample at (y, x) is sum_r hat(y - r) sum_j hat(x - j) image[r, j]: a matrix
product over the columns, which the matrix units like, and a short sum over the rows that the tile of samples touches.
Those rows are found beforehand from the offsets, so that any offset is exact and small ones are fast. The backward pass
runs the same sums the other way: each gradient has one owner that adds in a fixed order, so that runs repeat exactly.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from jmpose_jax.ops.deform_conv.geometry import Geometry
from jmpose_jax.ops.deform_conv.hat import bounded_positions, dense_kernel, hat, hat_slope, reads_image, touched
from jmpose_jax.ops.deform_conv.partition import over_batch

TILE = 128  # samples: one row of lanes
ROWS = 8  # image rows of one matrix product
LANES = 128
IMAGE_BYTES = 2 * 2**20  # one channel block of the image; several such blocks must fit the vector memory
VMEM_BYTES = 32 * 2**20
MAX_TAPS = 49


class _Blocks(NamedTuple):
    """How the channels are cut: each offset group into `parts` of `size` channels, padded to `rows` sublanes."""

    parts: int
    size: int
    rows: int
    padded_height: int
    padded_width: int


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _blocks(g: Geometry, dtype: jnp.dtype) -> _Blocks:
    sublanes = 8 if jnp.dtype(dtype).itemsize == 4 else 16
    height, width = g.height + ROWS, _round_up(g.width, LANES)
    per_group = g.channels // g.offset_groups
    limit = max(IMAGE_BYTES // (4 * height * width) // sublanes * sublanes, sublanes)
    parts = -(-per_group // limit)
    while per_group % parts:
        parts += 1
    size = per_group // parts
    return _Blocks(parts, size, _round_up(size, sublanes), height, width)


def unsupported(g: Geometry, dtype: jnp.dtype) -> str | None:
    """Why the kernels cannot take a call, or None where they can."""
    if jnp.dtype(dtype) not in (jnp.dtype(jnp.float32), jnp.dtype(jnp.bfloat16)):
        return f"x is {jnp.dtype(dtype).name}, not float32 or bfloat16"
    if g.taps > MAX_TAPS:
        return f"{g.taps} taps, more than {MAX_TAPS}"
    blocks = _blocks(g, dtype)
    if 4 * blocks.rows * blocks.padded_height * blocks.padded_width > 2 * IMAGE_BYTES:
        return f"a map of {g.height}x{g.width} does not fit the vector memory"
    return None


def _product(a: jax.Array, b: jax.Array, contract: tuple[int, int]) -> jax.Array:
    """Matrix product of `a` and a float32 `b`, float32, without loss of the precision of either."""
    dimensions = (((contract[0],), (contract[1],)), ((), ()))
    if a.dtype == jnp.float32:
        return lax.dot_general(a, b, dimensions, precision=lax.Precision.HIGHEST, preferred_element_type=jnp.float32)
    # Two bfloat16 products hold 16 bits of the weights; one would make bilinear weights wrong in the third digit.
    high = b.astype(jnp.bfloat16)
    low = (b - high.astype(jnp.float32)).astype(jnp.bfloat16)
    parts = (lax.dot_general(a, part, dimensions, preferred_element_type=jnp.float32) for part in (high, low))
    return sum(parts)


def _across(x: jax.Array, width: int) -> jax.Array:
    """Distances [width, TILE] of samples x [1, TILE] from the columns of the image."""
    return x - lax.broadcasted_iota(jnp.int32, (width, TILE), 0).astype(jnp.float32)


def _down(y: jax.Array, start: jax.Array) -> jax.Array:
    """Distances [ROWS, 1, TILE] of samples y [1, TILE] from ROWS rows of the image."""
    rows = start + lax.broadcasted_iota(jnp.int32, (ROWS, 1, TILE), 0)
    return y[None] - rows.astype(jnp.float32)


def _rows(image, start: jax.Array) -> jax.Array:
    """ROWS rows of a [rows, channels, columns] reference, as one matrix."""
    return image[pl.ds(start, ROWS)].reshape(-1, image.shape[-1])


def _forward_kernel(ranges, y, x, image, samples):
    taps, channels, _ = samples.shape

    @pl.loop(0, taps)
    def _(tap):
        row, across = y[pl.ds(tap, 1), :], hat(_across(x[pl.ds(tap, 1), :], image.shape[-1]))

        def add(step, total):
            start = ranges[tap, 0] + step * ROWS
            blended = _product(_rows(image, start), across, (1, 0)).reshape(ROWS, channels, TILE)
            return total + jnp.sum(hat(_down(row, start)) * blended, 0)

        samples[tap] = lax.fori_loop(0, ranges[tap, 1], add, jnp.zeros((channels, TILE), jnp.float32))


def _backward_kernel(ranges, y, x, image, gradient, to_image, to_y, to_x):
    taps, channels, _ = gradient.shape

    @pl.when(pl.program_id(2) == 0)
    def _():
        to_image[...] = jnp.zeros_like(to_image)

    @pl.loop(0, taps)
    def _(tap):
        row, distance = y[pl.ds(tap, 1), :], _across(x[pl.ds(tap, 1), :], image.shape[-1])
        across, slope, flow = hat(distance), hat_slope(distance), gradient[tap]

        def towards(products):
            """Sums over the channels, [ROWS, 1, TILE], of what the rows give times the gradient of the samples."""
            return jnp.sum(flow[None] * products.reshape(ROWS, channels, TILE), 1, keepdims=True)

        def add(step, totals):
            total_y, total_x = totals
            start = ranges[tap, 0] + step * ROWS
            pixels, down = _rows(image, start), _down(row, start)
            total_y += jnp.sum(hat_slope(down) * towards(_product(pixels, across, (1, 0))), 0)
            total_x += jnp.sum(hat(down) * towards(_product(pixels, slope, (1, 0))), 0)
            spread = (hat(down) * flow[None]).reshape(ROWS * channels, TILE)
            back = _product(spread, across, (1, 1))
            to_image[pl.ds(start, ROWS)] += back.reshape(ROWS, channels, -1)
            return total_y, total_x

        zero = jnp.zeros((1, TILE), jnp.float32)
        to_y[pl.ds(tap, 1), :], to_x[pl.ds(tap, 1), :] = lax.fori_loop(0, ranges[tap, 1], add, (zero, zero))


class _Packed(NamedTuple):
    """The arguments of the kernels; P = offset groups x parts.

    Attributes:
      ranges: int32 [B, G, tiles, taps, 2]: first image row, and number of blocks of ROWS rows.
      y, x: float32 [B, G, taps, padded samples].
      image: [B, P, padded height, padded channels, padded width].
    """

    ranges: jax.Array
    y: jax.Array
    x: jax.Array
    image: jax.Array


def _pack(image: jax.Array, y: jax.Array, x: jax.Array, g: Geometry) -> _Packed:
    blocks = _blocks(g, image.dtype)
    padding = [(0, 0)] * 3 + [(0, -y.shape[-1] % TILE)]
    y, x = (jnp.pad(p, padding, constant_values=-2.0) for p in (y, x))
    tiles = y.reshape(*y.shape[:3], -1, TILE)
    inside = reads_image(tiles, x.reshape(tiles.shape), g)
    first, last = jnp.moveaxis(jnp.swapaxes(touched(tiles, inside, g.height, -1), 2, 3), -1, 0)
    # An empty range keeps a first row inside the image; its count is zero.
    ranges = jnp.stack([jnp.minimum(first, g.height - 1), jnp.maximum(last - first + ROWS, 0) // ROWS], -1)
    image = image.reshape(*image.shape[:3], -1, blocks.size).transpose(0, 3, 1, 4, 2)
    ends = (blocks.padded_height - g.height, blocks.rows - blocks.size, blocks.padded_width - g.width)
    return _Packed(ranges, y, x, jnp.pad(image, [(0, 0), (0, 0), *((0, end) for end in ends)]))


def _call(kernel, packed: _Packed, extra: tuple[jax.Array, ...], results, g: Geometry, interpret: bool):
    """Runs a kernel over (image of the batch, channel part, tile); results(batch) -> shapes and block specs."""
    blocks = _blocks(g, packed.image.dtype)
    parts = blocks.parts

    def group(part):
        return part if parts == 1 else lax.div(part, parts)

    def run(*arrays):
        batch = arrays[0].shape[0]
        shapes, out_specs = results(batch)
        samples = pl.BlockSpec((None, None, g.taps, blocks.rows, TILE), lambda b, p, t: (b, p, 0, 0, t))
        position = pl.BlockSpec((None, None, g.taps, TILE), lambda b, p, t: (b, group(p), 0, t))
        in_specs = [
            pl.BlockSpec(
                (None, None, None, g.taps, 2), lambda b, p, t: (b, group(p), t, 0, 0), memory_space=pltpu.SMEM
            ),
            position,
            position,
            pl.BlockSpec((None, None, *packed.image.shape[2:]), lambda b, p, t: (b, p, 0, 0, 0)),
        ] + [samples] * len(extra)
        return pl.pallas_call(
            kernel,
            grid=(batch, g.offset_groups * parts, packed.ranges.shape[2]),
            in_specs=in_specs,
            out_specs=out_specs,
            out_shape=shapes,
            interpret=interpret,
            compiler_params=pltpu.CompilerParams(
                dimension_semantics=("parallel", "parallel", "arbitrary"), vmem_limit_bytes=VMEM_BYTES
            ),
            name="deform_conv" + kernel.__name__.removesuffix("_kernel"),
        )(*arrays)

    return over_batch(run, (*packed, *extra))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _sample(image: jax.Array, y: jax.Array, x: jax.Array, g: Geometry, interpret: bool) -> jax.Array:
    """image [B, H, W, C], float32 y and x [B, G, taps, N] -> float32 samples [B, G, taps, C / G, N]."""
    blocks, packed = _blocks(g, image.dtype), _pack(image, y, x, g)
    length = packed.y.shape[-1]

    def results(batch):
        shape = (batch, packed.image.shape[1], g.taps, blocks.rows, length)
        spec = pl.BlockSpec((None, None, g.taps, blocks.rows, TILE), lambda b, p, t: (b, p, 0, 0, t))
        return jax.ShapeDtypeStruct(shape, jnp.float32), spec

    samples = _call(_forward_kernel, packed, (), results, g, interpret)[..., : blocks.size, : y.shape[-1]]
    samples = samples.reshape(y.shape[0], g.offset_groups, blocks.parts, g.taps, blocks.size, y.shape[-1])
    return jnp.swapaxes(samples, 2, 3).reshape(*y.shape[:3], -1, y.shape[-1])


def _sample_forward(image, y, x, g, interpret):
    return _sample(image, y, x, g, interpret), (image, y, x)


def _sample_backward(g, interpret, saved, gradient):
    image, y, x = saved
    blocks, packed = _blocks(g, image.dtype), _pack(image, y, x, g)
    batch, length = y.shape[0], packed.y.shape[-1]
    gradient = gradient.reshape(batch, g.offset_groups, g.taps, blocks.parts, blocks.size, -1).swapaxes(2, 3)
    gradient = gradient.reshape(batch, -1, g.taps, blocks.size, y.shape[-1])
    gradient = jnp.pad(gradient, [(0, 0)] * 3 + [(0, blocks.rows - blocks.size), (0, length - y.shape[-1])])

    def results(batch):
        positions = jax.ShapeDtypeStruct((batch, packed.image.shape[1], g.taps, length), jnp.float32)
        shapes = [jax.ShapeDtypeStruct((batch, *packed.image.shape[1:]), jnp.float32), positions, positions]
        position = pl.BlockSpec((None, None, g.taps, TILE), lambda b, p, t: (b, p, 0, t))
        whole = pl.BlockSpec((None, None, *packed.image.shape[2:]), lambda b, p, t: (b, p, 0, 0, 0))
        return shapes, [whole, position, position]

    to_image, to_y, to_x = _call(_backward_kernel, packed, (gradient,), results, g, interpret)
    to_image = to_image[:, :, : g.height, : blocks.size, : g.width].transpose(0, 2, 4, 1, 3)
    to_y, to_x = (
        d.reshape(batch, g.offset_groups, blocks.parts, g.taps, length).sum(2)[..., : y.shape[-1]] for d in (to_y, to_x)
    )
    return to_image.reshape(image.shape).astype(image.dtype), to_y, to_x


_sample.defvjp(_sample_forward, _sample_backward)


def modulated_deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array | None, kernel: jax.Array, g: Geometry, interpret: bool = False
) -> jax.Array:
    """As the reference; `interpret` runs the kernels on any device, slowly.

    Returns:
      float32 [B, Ho, Wo, O], without the bias.
    """
    pixels = g.out_height * g.out_width

    def samples_last(a: jax.Array) -> jax.Array:  # [B, Ho, Wo, G, taps] -> [B, G, taps, N]
        return jnp.moveaxis(a.reshape(g.batch, pixels, g.offset_groups, g.taps), 1, 3)

    samples = _sample(x, *(samples_last(p) for p in bounded_positions(offset, g)), g, interpret)
    if mask is not None:
        samples = samples * samples_last(mask).astype(jnp.float32)[:, :, :, None]
    weights = dense_kernel(kernel, g).reshape(g.taps, g.offset_groups, -1, g.out_channels)
    out = jnp.einsum("bgkcn,kgco->bno", samples.astype(x.dtype), weights, preferred_element_type=jnp.float32)
    return out.reshape(g.batch, g.out_height, g.out_width, g.out_channels)

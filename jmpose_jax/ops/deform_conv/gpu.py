"""Deformable convolution on NVIDIA GPUs: gathers in Pallas kernels of the Triton lowering.

Forward: a program owns a tile of output pixels, gathers the four corners of their samples and multiplies with the
kernel at once; the columns of samples never reach memory. Backward: nothing is scattered and no atomics are used, so
that gradients repeat bit for bit. The gradient of positions and mask has the output pixel as its owner, which gathers
again (`_positions_kernel`); the gradient of the image has the input pixel, which looks through the tiles of samples
that can touch it (`_image_kernel`); that of the weights is one matrix product.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plt

from jmpose_jax.ops.deform_conv.geometry import Geometry
from jmpose_jax.ops.deform_conv.hat import bounded_positions, dense_kernel, hat, reads_image, touched
from jmpose_jax.ops.deform_conv.partition import over_batch

PIXELS = 32  # output pixels of a program that gathers
CHANNELS = 64  # channels gathered at once, of all groups together
OUTPUTS = 128  # output channels of a program, at most
SAMPLES = 16  # samples of one output row that the owner of an image row looks at together
COLUMNS = 32  # pixels of an image row with one owner
SMALLEST_DOT = 16  # Triton's matrix products have no smaller side
LARGEST_ARRAY = 2**31 - 1  # elements: kernels index with 32 bits


class _Blocks(NamedTuple):
    """How programs cut the channels: `groups` offset groups of `size` channels, both powers of two, masked at the end.

    A group of more than `size` channels takes `parts` of them, and `groups` is 1 then.
    """

    groups: int
    size: int
    group_blocks: int
    parts: int


def _blocks(g: Geometry) -> _Blocks:
    per_group = g.channels // g.offset_groups
    size = min(pl.next_power_of_2(per_group), CHANNELS)
    groups = min(pl.next_power_of_2(g.offset_groups), CHANNELS // size)
    groups = max(groups, SMALLEST_DOT // size)
    return _Blocks(groups, size, pl.cdiv(g.offset_groups, groups), pl.cdiv(per_group, size))


def unsupported(g: Geometry, dtype: jnp.dtype) -> str | None:
    """Why the kernels cannot take a call, or None where they can."""
    if jnp.dtype(dtype) not in (jnp.dtype(jnp.float32), jnp.dtype(jnp.bfloat16)):
        return f"x is {jnp.dtype(dtype).name}, not float32 or bfloat16"
    pixels = g.batch * g.out_height * g.out_width
    if max(g.batch * g.height * g.width, pixels * g.taps) * g.channels > LARGEST_ARRAY:
        return "the samples are more than 32-bit indices reach"
    return None


class _Tile(NamedTuple):
    """The samples of one tap for a tile of output pixels and a block of groups.

    Attributes:
      row, column: int32 [T, groups], the upper left corner.
      down, right: float32 [T, groups], fractions of a pixel from it.
      group: int32 [1, groups]; within: which pixels and groups exist, [T, groups].
    """

    row: jax.Array
    column: jax.Array
    down: jax.Array
    right: jax.Array
    group: jax.Array
    within: jax.Array


def _tile(offset, image_index, pixel, group, tap, g: Geometry) -> _Tile:
    # lax.div and lax.rem: the Python operators on integers do not lower to Triton.
    width = jnp.int32(g.out_width)
    y, x = lax.div(pixel, width) * g.stride[0] - g.padding[0], lax.rem(pixel, width) * g.stride[1] - g.padding[1]
    y += lax.div(tap, jnp.int32(g.kernel_width)) * g.dilation[0]
    x += lax.rem(tap, jnp.int32(g.kernel_width)) * g.dilation[1]
    within = (pixel < g.out_height * g.out_width) & (group < g.offset_groups)
    dy, dx = (plt.load(offset.at[image_index, pixel, group, tap, i], mask=within, other=0.0) for i in range(2))
    y = jnp.clip(y.astype(jnp.float32) + dy, -2.0, g.height + 1.0)
    x = jnp.clip(x.astype(jnp.float32) + dx, -2.0, g.width + 1.0)
    top, left = jnp.floor(y), jnp.floor(x)
    return _Tile(top.astype(jnp.int32), left.astype(jnp.int32), y - top, x - left, group, within)


def _corners(image, image_index, tile: _Tile, channel, g: Geometry) -> list[jax.Array]:
    """float32 [T, groups, size] at the upper left, upper right, lower left and lower right; zero outside the image."""
    per_group = g.channels // g.offset_groups
    index = tile.group[:, :, None] * per_group + channel
    values = []
    for below, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = tile.row + below, tile.column + right
        inside = tile.within & (row >= 0) & (row < g.height) & (column >= 0) & (column < g.width)
        place = jnp.where(inside, row * g.width + column, 0)[:, :, None]
        value = plt.load(
            image.at[image_index, place, index], mask=inside[:, :, None] & (channel < per_group), other=0.0
        )
        values.append(value.astype(jnp.float32))
    return values


def _blend(corners: list[jax.Array], down: jax.Array, right: jax.Array) -> jax.Array:
    upper_left, upper_right, lower_left, lower_right = corners
    upper = (1.0 - right) * upper_left + right * upper_right
    return (1.0 - down) * upper + down * ((1.0 - right) * lower_left + right * lower_right)


def _indices(count: int, start=0) -> jax.Array:
    return start + lax.iota(jnp.int32, count)


def _forward_kernel(*refs, g: Geometry, outputs: int):
    image, offset, *mask, weights, out = refs
    blocks = _blocks(g)
    which = pl.program_id(0)
    pixel = _indices(PIXELS, pl.program_id(1) * PIXELS)
    output = _indices(outputs, pl.program_id(2) * outputs)
    per_group = g.channels // g.offset_groups

    def add(step, total):
        tap, block = lax.rem(step, jnp.int32(g.taps)), lax.div(step, jnp.int32(g.taps))
        first, part = lax.div(block, jnp.int32(blocks.parts)), lax.rem(block, jnp.int32(blocks.parts))
        group = _indices(blocks.groups, first * blocks.groups)
        channel = _indices(blocks.size, part * blocks.size)
        tile = _tile(offset, which, pixel[:, None], group[None], tap, g)
        samples = _blend(
            _corners(image, which, tile, channel[None, None], g), tile.down[:, :, None], tile.right[:, :, None]
        )
        if mask:
            factor = plt.load(mask[0].at[which, pixel[:, None], group[None], tap], mask=tile.within, other=0.0)
            samples *= factor.astype(jnp.float32)[:, :, None]
        row = (group[:, None] * per_group + channel[None]).reshape(-1)
        exists = ((group < g.offset_groups)[:, None] & (channel < per_group)[None]).reshape(-1)
        block_weights = plt.load(
            weights.at[tap, row[:, None], output[None]],
            mask=exists[:, None] & (output < g.out_channels)[None],
            other=0.0,
        )
        columns = samples.reshape(PIXELS, -1).astype(image.dtype).astype(weights.dtype)
        return total + jnp.dot(columns, block_weights, preferred_element_type=jnp.float32)

    steps = g.taps * blocks.group_blocks * blocks.parts
    total = lax.fori_loop(0, steps, add, jnp.zeros((PIXELS, outputs), jnp.float32))
    exists = (pixel < g.out_height * g.out_width)[:, None] & (output < g.out_channels)[None]
    plt.store(out.at[which, pixel[:, None], output[None]], total, mask=exists)


def _positions_kernel(*refs, g: Geometry, has_mask: bool):
    """Gradients of offset and mask, and the modulated samples, of a tile of pixels and a block of groups."""
    image, offset, gradient = refs[:3]
    mask, (to_offset, to_mask, columns) = refs[3 : 3 + has_mask], refs[3 + has_mask :]
    blocks = _blocks(g)
    which = pl.program_id(0)
    pixel = _indices(PIXELS, pl.program_id(1) * PIXELS)
    group = _indices(blocks.groups, pl.program_id(2) * blocks.groups)
    per_group = g.channels // g.offset_groups

    @pl.loop(0, g.taps)
    def _(tap):
        tile = _tile(offset, which, pixel[:, None], group[None], tap, g)
        factor = jnp.ones(tile.within.shape, jnp.float32)
        if has_mask:
            factor = plt.load(mask[0].at[which, pixel[:, None], group[None], tap], mask=tile.within, other=0.0)
            factor = factor.astype(jnp.float32)

        def add(part, totals):
            channel = _indices(blocks.size, part * blocks.size)[None, None]
            exists = tile.within[:, :, None] & (channel < per_group)
            corners = _corners(image, which, tile, channel, g)
            samples = _blend(corners, tile.down[:, :, None], tile.right[:, :, None]) * factor[:, :, None]
            place = (which, pixel[:, None, None], tap, group[None, :, None] * per_group + channel)
            plt.store(columns.at[place], samples.astype(columns.dtype), mask=exists)
            place = (which, group[None, :, None], tap, pixel[:, None, None], channel)
            flow = plt.load(gradient.at[place], mask=exists, other=0.0).astype(jnp.float32)
            return tuple(total + jnp.sum(corner * flow, 2) for total, corner in zip(totals, corners))

        zero = jnp.zeros(tile.within.shape, jnp.float32)
        corners = upper_left, upper_right, lower_left, lower_right = lax.fori_loop(0, blocks.parts, add, (zero,) * 4)
        down, right = tile.down, tile.right
        # The slopes of the cell whose upper left corner is the floor: at integers, the derivative from the right.
        to_y = (1.0 - right) * (lower_left - upper_left) + right * (lower_right - upper_right)
        to_x = (1.0 - down) * (upper_right - upper_left) + down * (lower_right - lower_left)
        place = (which, pixel[:, None], group[None], tap)
        plt.store(to_offset.at[(*place, 0)], factor * to_y, mask=tile.within)
        plt.store(to_offset.at[(*place, 1)], factor * to_x, mask=tile.within)
        plt.store(to_mask.at[place], _blend(corners, down, right), mask=tile.within)


def _image_kernel(*refs, g: Geometry):
    """Gradient of COLUMNS pixels of one image row in one part of a group's channels."""
    boxes, row_tiles, y, x, *mask, gradient, to_image = refs
    blocks = _blocks(g)
    per_group, wide = g.channels // g.offset_groups, jnp.int32(pl.cdiv(g.width, COLUMNS))
    which, row = pl.program_id(0), pl.program_id(1)
    part, block = lax.div(pl.program_id(2), wide), lax.rem(pl.program_id(2), wide)
    group, part = lax.div(part, jnp.int32(blocks.parts)), lax.rem(part, jnp.int32(blocks.parts))
    column = _indices(COLUMNS, block * COLUMNS)
    channel = _indices(blocks.size, part * blocks.size)
    across_tiles = jnp.int32(pl.cdiv(g.out_width, SAMPLES))

    def tile(index, total):
        top, bottom, left, right = (boxes[which, group, index, i] for i in range(4))
        near = (top <= row) & (row <= bottom) & (left < (block + 1) * COLUMNS) & (right >= block * COLUMNS)
        out_column = _indices(SAMPLES, lax.rem(index, across_tiles) * SAMPLES)
        pixel = lax.div(index, across_tiles) * g.out_width + out_column
        exists = out_column < g.out_width

        def add(tap, total):
            place = (which, group, tap, pixel)
            positions_y, positions_x = (plt.load(p.at[place], mask=exists, other=-2.0) for p in (y, x))
            weight = hat(positions_y - row.astype(jnp.float32))
            if mask:
                weight *= plt.load(mask[0].at[place], mask=exists, other=0.0).astype(jnp.float32)

            def touch(total):
                across = hat(positions_x[None] - column.astype(jnp.float32)[:, None]) * weight[None]
                flow = plt.load(
                    gradient.at[which, group, tap, pixel[:, None], channel[None]],
                    mask=exists[:, None] & (channel < per_group)[None],
                    other=0.0,
                ).astype(jnp.float32)
                if blocks.size < SMALLEST_DOT:
                    return total + jnp.sum(across[:, :, None] * flow[None], 1)
                return total + jnp.dot(across, flow, precision=lax.Precision.HIGHEST)

            return lax.cond(jnp.max(jnp.abs(weight)) > 0, touch, lambda total: total, total)

        # A product, for a choice between two scalars lowers to a choice between two booleans.
        return lax.fori_loop(0, near.astype(jnp.int32) * g.taps, add, total)

    zero = jnp.zeros((COLUMNS, blocks.size), jnp.float32)
    total = lax.fori_loop(row_tiles[which, group, row, 0], row_tiles[which, group, row, 1] + 1, tile, zero)
    exists = (column < g.width)[:, None] & (channel < per_group)[None]
    place = (which, (row * g.width + column)[:, None], group * per_group + channel[None])
    plt.store(to_image.at[place], total, mask=exists)


def _run(kernel, arrays, replicated, grid, results, g: Geometry, interpret: bool, warps: int, **options):
    """Calls a kernel on the device's part of the batch; `grid` and `results` are without the batch."""

    def call(*arrays):
        batch = arrays[0].shape[0]
        return pl.pallas_call(
            functools.partial(kernel, g=g, **options),
            grid=(batch, *grid),
            out_shape=[jax.ShapeDtypeStruct((batch, *r.shape), r.dtype) for r in results],
            interpret=interpret,
            compiler_params=plt.CompilerParams(num_warps=warps, num_stages=2),
            name="deform_conv" + kernel.__name__.removesuffix("_kernel"),
        )(*arrays)

    return over_batch(call, arrays, replicated)


def _given(mask: jax.Array | None) -> tuple[jax.Array, ...]:
    return () if mask is None else (mask,)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _convolve(image, offset, mask, weights, g: Geometry, interpret: bool) -> jax.Array:
    """image [B, HW, C], offset float32 [B, N, G, taps, 2], mask [B, N, G, taps] or None, weights [taps, C, O]."""
    outputs = min(max(pl.next_power_of_2(g.out_channels), SMALLEST_DOT), OUTPUTS)
    pixels = g.out_height * g.out_width
    grid = (pl.cdiv(pixels, PIXELS), pl.cdiv(g.out_channels, outputs))
    result = jax.ShapeDtypeStruct((pixels, g.out_channels), jnp.float32)
    arrays = (image, offset, *_given(mask))
    return _run(_forward_kernel, arrays, (weights,), grid, [result], g, interpret, 4, outputs=outputs)[0]


def _convolve_forward(image, offset, mask, weights, g, interpret):
    return _convolve(image, offset, mask, weights, g, interpret), (image, offset, mask, weights)


def _convolve_backward(g, interpret, saved, gradient):
    image, offset, mask, weights = saved
    blocks, shape = _blocks(g), jax.ShapeDtypeStruct
    pixels, per_group = g.out_height * g.out_width, g.channels // g.offset_groups
    gradient = gradient.astype(weights.dtype)
    grouped = weights.reshape(g.taps, g.offset_groups, per_group, g.out_channels)
    flow = jnp.einsum("bno,kgco->bgknc", gradient, grouped, preferred_element_type=jnp.float32).astype(image.dtype)

    results = [
        shape((pixels, g.offset_groups, g.taps, 2), jnp.float32),
        shape((pixels, g.offset_groups, g.taps), jnp.float32),
        shape((pixels, g.taps, g.channels), image.dtype),
    ]
    grid = (pl.cdiv(pixels, PIXELS), blocks.group_blocks)
    arrays = (image, offset, flow, *_given(mask))
    to_offset, to_mask, columns = _run(
        _positions_kernel, arrays, (), grid, results, g, interpret, 4, has_mask=mask is not None
    )
    to_weights = jnp.einsum("bnkc,bno->kco", columns, gradient, preferred_element_type=jnp.float32)

    boxes, row_tiles, y, x = _owners(offset, g)
    modulation = tuple(jnp.moveaxis(m, 1, 3) for m in _given(mask))
    grid = (g.height, g.offset_groups * blocks.parts * pl.cdiv(g.width, COLUMNS))
    result = [shape((g.height * g.width, g.channels), jnp.float32)]
    arrays = (boxes, row_tiles, y, x, *modulation, flow)
    (to_image,) = _run(_image_kernel, arrays, (), grid, result, g, interpret, 2)
    to_mask = None if mask is None else to_mask.astype(mask.dtype)
    return to_image.astype(image.dtype), to_offset, to_mask, to_weights.astype(weights.dtype)


def _owners(offset: jax.Array, g: Geometry) -> tuple[jax.Array, ...]:
    """What the owners of image pixels need to know about the samples.

    Returns:
      The box of image pixels that each tile of SAMPLES samples of an output row touches, over all taps, int32
      [B, G, tiles, 4] as first and last row, first and last column; for each image row the first and last tile that
      touch it, int32 [B, G, H, 2]; and the positions y and x, [B, G, taps, N].
    """
    spread = offset.reshape(g.batch, g.out_height, g.out_width, g.offset_groups, g.taps, 2)
    y, x = (jnp.moveaxis(p, (3, 4), (1, 2)) for p in bounded_positions(spread, g))  # [B, G, taps, Ho, Wo]
    padding = [(0, 0)] * 4 + [(0, -g.out_width % SAMPLES)]
    tiled_y, tiled_x = (jnp.pad(p, padding, constant_values=-2.0).reshape(*p.shape[:4], -1, SAMPLES) for p in (y, x))
    inside = reads_image(tiled_y, tiled_x, g)
    rows, columns = touched(tiled_y, inside, g.height, (2, 5)), touched(tiled_x, inside, g.width, (2, 5))
    boxes = jnp.concatenate([rows, columns], -1).reshape(g.batch, g.offset_groups, -1, 4)
    image_row = jnp.arange(g.height)[:, None]
    hit = (boxes[:, :, None, :, 0] <= image_row) & (image_row <= boxes[:, :, None, :, 1])
    tile = jnp.arange(boxes.shape[2])
    first = jnp.min(jnp.where(hit, tile, boxes.shape[2]), -1)
    last = jnp.max(jnp.where(hit, tile, -1), -1)
    flat = (g.batch, g.offset_groups, g.taps, -1)
    return boxes, jnp.stack([first, last], -1).astype(jnp.int32), y.reshape(flat), x.reshape(flat)


_convolve.defvjp(_convolve_forward, _convolve_backward)


def modulated_deform_conv2d(
    x: jax.Array, offset: jax.Array, mask: jax.Array | None, kernel: jax.Array, g: Geometry, interpret: bool = False
) -> jax.Array:
    """As the reference; `interpret` runs the kernels on any device, slowly.

    Returns:
      float32 [B, Ho, Wo, O], without the bias.
    """
    pixels = g.out_height * g.out_width
    image = x.reshape(g.batch, g.height * g.width, g.channels)
    offset = offset.astype(jnp.float32).reshape(g.batch, pixels, g.offset_groups, g.taps, 2)
    mask = None if mask is None else mask.reshape(offset.shape[:-1])
    # The type that a product of the two would have: bfloat16 only where both are.
    weights = dense_kernel(kernel, g).astype(jnp.promote_types(x.dtype, kernel.dtype))
    out = _convolve(image, offset, mask, weights, g, interpret)
    return out.reshape(g.batch, g.out_height, g.out_width, g.out_channels)

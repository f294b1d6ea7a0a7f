"""Forms of RAFT's correlation lookup, and of cross-attention over pixels: time and memory of each, side by side.

python -m benchmarks.lookup_attention [--size small]

Results go to benchmarks/results/lookup_attention_<platform>.json.
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import machine, milliseconds
from jmpose_jax.files import write_json
from jmpose_jax.ops.attention import cross_attention
from jmpose_jax.ops.correlation import lookup

RESULTS = pathlib.Path(__file__).with_name("results")
RADIUS = 4
# Maps of RAFT (1/8 of the crop) with their batch; maps of the joint features (1/4 of the crop) with theirs.
SIZES = {
    "paper": {"lookup": (2, 48, 36), "attention": (1, 96, 72, 48)},
    "small": {"lookup": (2, 16, 12), "attention": (1, 32, 24, 48)},
}


def sliced(pyramid: tuple[jax.Array, ...], coords: jax.Array, radius: int) -> jax.Array:
    """The lookup as one dynamic slice of (2r + 2)^2 pixels a window, blended; same result as `lookup`."""
    width = 2 * radius + 2
    samples = []
    for level, volume in enumerate(pyramid):
        maps = volume.reshape(-1, *volume.shape[3:])
        h, w = maps.shape[1:]
        padded = jnp.pad(maps, ((0, 0), (width, width), (width, width)))
        centres = coords.reshape(-1, 2) / 2**level
        corner = jnp.floor(centres)
        limit = jnp.asarray([w + radius + 1, h + radius + 1], corner.dtype)
        start = jnp.clip(corner, -limit, limit).astype(jnp.int32) - radius + width

        def window(image, start, fraction):
            pixels = jax.lax.dynamic_slice(image, (start[1], start[0]), (width, width))
            rows = (1 - fraction[1]) * pixels[:-1] + fraction[1] * pixels[1:]
            return ((1 - fraction[0]) * rows[:, :-1] + fraction[0] * rows[:, 1:]).T

        values = jax.vmap(window)(padded, start, centres - corner)
        samples.append(values.reshape(*coords.shape[:3], -1))
    return jnp.concatenate(samples, -1)


def dot_product(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Attention over pixels by JAX's own function (flash attention of cuDNN where it serves: half precision, a GPU)."""
    q, k, v = (a.reshape(a.shape[0], -1, 1, a.shape[-1]) for a in (query, key, value))
    return jax.nn.dot_product_attention(q, k, v).reshape(query.shape)


def _row(name: str, function: Callable[..., jax.Array], arrays: tuple, expected: np.ndarray | None) -> dict[str, Any]:
    forward = jax.jit(function).lower(*arrays).compile()
    both = jax.jit(jax.grad(lambda *a: jnp.sum(function(*a) ** 2), argnums=0)).lower(*arrays).compile()
    found = np.asarray(forward(*arrays))
    row = {
        "form": name,
        "forward_ms": milliseconds(lambda: forward(*arrays), jax.block_until_ready),
        "gradient_ms": milliseconds(lambda: both(*arrays), jax.block_until_ready),
        "forward_temporary_bytes": forward.memory_analysis().temp_size_in_bytes,
        "gradient_temporary_bytes": both.memory_analysis().temp_size_in_bytes,
        "difference": 0.0 if expected is None else float(np.abs(found - expected).max() / np.abs(expected).max()),
    }
    print(json.dumps(row), flush=True)
    return row | {"result": found}


def _rows(forms: dict[str, Callable[..., jax.Array]], arrays: tuple) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, function in forms.items():
        rows.append(_row(name, function, arrays, rows[0]["result"] if rows else None))
    return [{key: value for key, value in row.items() if key != "result"} for row in rows]


def measure(size: str) -> dict[str, Any]:
    """All forms of both operations at one size."""
    jax.config.update("jax_default_matmul_precision", "highest")
    rng = np.random.default_rng(0)
    batch, h, w = SIZES[size]["lookup"]
    shapes = [(batch, h, w, h >> level, w >> level) for level in range(4)]
    pyramid = tuple(jnp.asarray(rng.standard_normal(s, np.float32)) for s in shapes)
    coords = jnp.asarray(rng.uniform(-4, max(h, w) + 4, (batch, h, w, 2)), jnp.float32)
    forms = {name: functools.partial(lookup, radius=RADIUS, implementation=name) for name in ("gather", "hat")}
    forms["slice"] = functools.partial(sliced, radius=RADIUS)
    lookups = _rows(forms, (pyramid, coords))
    maps = tuple(jnp.asarray(rng.standard_normal(SIZES[size]["attention"], np.float32)) for _ in range(3))
    forms = {mode: functools.partial(cross_attention, mode=mode) for mode in ("spatial_full", "spatial")}
    attention = _rows(forms | {"dot_product_attention": dot_product}, maps)
    return machine() | {"size": size, "shapes": SIZES[size], "lookup": lookups, "attention": attention}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="paper")
    parser.add_argument("--output", type=pathlib.Path, help="default: results/lookup_attention_<platform>.json")
    options = parser.parse_args()
    result = measure(options.size)
    write_json(options.output or RESULTS / f"lookup_attention_{result['platform']}.json", result)


if __name__ == "__main__":
    main()

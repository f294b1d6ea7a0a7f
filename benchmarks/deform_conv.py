"""Speed and memory of the deformable convolution beside PyTorch's, in one process.

On a machine with a GPU, with torch and torchvision beside jax[cuda13]:

python -m benchmarks.deform_conv

On a CPU, in seconds: python -m benchmarks.deform_conv --shapes small. Every run writes
benchmarks/results/deform_conv_<platform>.json and then the table of docs/benchmarks.md from all such files; --table
only does the latter.
"""

import argparse
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

# PyTorch shares the GPU in this process.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import torch_deform_conv as peers
from benchmarks.measure import REPOSITORY, copy_bandwidth, machine, milliseconds, write_between_markers
from jmpose_jax.files import write_json
from jmpose_jax.ops.deform_conv import IMPLEMENTATIONS, choose, geometry, modulated_deform_conv2d

RESULTS = pathlib.Path(__file__).with_name("results")
PLATFORMS = {"gpu": "an NVIDIA GPU", "tpu": "a TPU", "cpu": "CPU"}
DTYPES = ("float32", "bfloat16")


class Shape(NamedTuple):
    """A 3x3 deformable convolution that keeps the size of its map."""

    batch: int
    height: int
    width: int
    channels: int
    offset_groups: int
    outputs: int

    def __str__(self) -> str:
        return f"{self.batch}×{self.height}×{self.width}×{self.channels}→{self.outputs}, G={self.offset_groups}"


SHAPES = {
    "paper": Shape(16, 96, 72, 48, 12, 48),
    "one group": Shape(16, 96, 72, 48, 1, 48),
    "wide": Shape(8, 48, 48, 256, 2, 256),
    "small": Shape(4, 32, 24, 16, 4, 16),
}
MEASURED = ("paper", "one group", "wide")


def arguments(shape: Shape, dtype: str, reach: float) -> tuple[list[jax.Array], jax.Array]:
    """Random x, offset, mask and kernel, and a gradient of the result; offsets are normal, `reach` pixels wide."""
    rng = np.random.default_rng(0)
    taps = (shape.batch, shape.height, shape.width, shape.offset_groups, 9)
    arrays = [
        jnp.asarray(rng.standard_normal((*taps[:3], shape.channels), np.float32), dtype),
        jnp.asarray(reach * rng.standard_normal((*taps, 2), np.float32), dtype),
        jnp.asarray(rng.uniform(size=taps).astype(np.float32), dtype),
        jnp.asarray(rng.standard_normal((3, 3, shape.channels, shape.outputs), np.float32), dtype),
    ]
    return arrays, jnp.asarray(rng.standard_normal((*taps[:3], shape.outputs), np.float32), dtype)


def _programs(implementation: str):
    def forward(*arrays):
        return modulated_deform_conv2d(*arrays, implementation=implementation)

    def both(gradient, *arrays):
        return jax.vjp(forward, *arrays)[1](gradient)

    return forward, both


def _ours(implementation: str, arrays: list[jax.Array], gradient: jax.Array, rounds: int) -> dict[str, Any]:
    forward, both = (jax.jit(program) for program in _programs(implementation))
    # Compiled once, and the compiler's own account of the memory read off it.
    forward, both = forward.lower(*arrays).compile(), both.lower(gradient, *arrays).compile()
    return {
        "forward_ms": milliseconds(lambda: forward(*arrays), jax.block_until_ready, rounds),
        "both_ms": milliseconds(lambda: both(gradient, *arrays), jax.block_until_ready, rounds),
        "peak_bytes": _peak_bytes(both),
        "result": np.asarray(forward(*arrays), np.float32),
    }


def _peak_bytes(compiled: Any) -> int | None:
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    return memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes


def _peer(function: Any, arrays: list[jax.Array], gradient: jax.Array, dtype: str, rounds: int) -> dict[str, Any]:
    inputs = peers.arguments(*arrays, dtype)
    forward = peers.forward(function, inputs)
    both = peers.forward_backward(function, inputs, np.asarray(gradient, np.float32))
    return {
        "forward_ms": milliseconds(forward, peers.wait, rounds),
        "both_ms": milliseconds(both, peers.wait, rounds),
        "peak_bytes": peers.peak_bytes(both),
        "result": peers.as_ours(forward()),
    }


def _least_bytes(arrays: list[jax.Array], gradient: jax.Array) -> tuple[int, int]:
    """What forward, and forward and backward, cannot avoid to read and write: every array once a pass."""
    read = sum(a.nbytes for a in arrays)
    return read + gradient.nbytes, (read + gradient.nbytes) + (read + gradient.nbytes) + read


def measure(names: list[str], dtypes: list[str], reach: float, rounds: int) -> dict[str, Any]:
    """All implementations that run here, all shapes, beside PyTorch's."""
    # As PyTorch multiplies float32: without it JAX may round to TF32 or bfloat16 on an accelerator.
    jax.config.update("jax_default_matmul_precision", "highest")
    platform = jax.default_backend()
    bandwidth = copy_bandwidth(512 if platform != "cpu" else 64)
    rows = []
    for name in names:
        for dtype in dtypes:
            arrays, gradient = arguments(SHAPES[name], dtype, reach)
            least, least_both = _least_bytes(arrays, gradient)
            for implementation, timed in _timed(platform, arrays, gradient, dtype, rounds):
                result = timed.pop("result", None)
                if implementation == "xla":
                    reference = result
                row = {"shape": name, "dtype": dtype, "implementation": implementation, **timed}
                if result is not None:
                    row["difference"] = float(np.abs(result - reference).max() / np.abs(reference).max())
                    row["forward_bytes_per_s"] = least / (timed["forward_ms"] / 1e3)
                    row["both_bytes_per_s"] = least_both / (timed["both_ms"] / 1e3)
                rows.append(row)
                print(json.dumps(row), flush=True)
            shapes = geometry(*arrays, None, 1, 1, 1)
            rows[-1]["default"] = choose(shapes, arrays[0].dtype)._asdict()
    return {
        **machine("torch", "torchvision"),
        "offset_reach_px": reach,
        "rounds": rounds,
        "copy_bytes_per_s": bandwidth,
        "shapes": {name: SHAPES[name]._asdict() for name in names},
        "rows": rows,
    }


def _timed(platform: str, arrays, gradient, dtype: str, rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each implementation's figures; one that fails here is kept with its error, not left out."""
    shapes = geometry(*arrays, None, 1, 1, 1)
    ours = ["xla"] + [n for n in IMPLEMENTATIONS if n == platform and choose(shapes, dtype, n).implementation == n]
    for name in ours:
        yield name, _guarded(_ours, name, arrays, gradient, rounds)
    for name, function in peers.available().items():
        yield name, _guarded(_peer, function, arrays, gradient, dtype, rounds)


def _guarded(run: Any, *args: Any) -> dict[str, Any]:
    try:
        return run(*args)
    except Exception as error:  # out of memory, or no such type in a peer: the row says so
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def table(results: list[dict[str, Any]]) -> str:
    """Markdown of all results; a platform without any is named as not measured."""
    lines = [
        "| device | shape | type | implementation | forward | forward + backward | of copy bandwidth | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for platform, words in PLATFORMS.items():
        found = [r for r in results if r["platform"] == platform]
        if not found:
            lines.append(f"| {words} | paper, one group, wide | float32, bfloat16 | all | not measured | | | |")
        for result in found:
            device = result["device"] if platform != "cpu" else f"CPU, {result['cores']} core(s), shared"
            lines += [_line(device, row, result) for row in result["rows"]]
    lines += ["", *(f"{name}: {shape}, 3×3." for name, shape in SHAPES.items())]
    return "\n".join(lines)


def _line(device: str, row: dict[str, Any], result: dict[str, Any]) -> str:
    start = f"| {device} | {row['shape']} | {row['dtype']} | {row['implementation']} |"
    if "error" in row:
        return f"{start} fails ({row['error'].split(':')[0]}) | | | |"
    copy = result["copy_bytes_per_s"]
    share = f"{100 * row['forward_bytes_per_s'] / copy:.1f} %, {100 * row['both_bytes_per_s'] / copy:.1f} %"
    memory = f"{row['peak_bytes'] / 2**20:.0f} MiB" if row["peak_bytes"] else "–"
    return f"{start} {row['forward_ms']:.3g} ms | {row['both_ms']:.3g} ms | {share} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(MEASURED))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--reach", type=float, default=2.0, help="standard deviation of the offsets, pixels")
    parser.add_argument("--rounds", type=int, default=15, help="measurements, of which the least counts")
    parser.add_argument("--output", type=pathlib.Path, help="default: benchmarks/results/deform_conv_<platform>.json")
    parser.add_argument("--table", action="store_true", help="only write the table from the results")
    options = parser.parse_args()
    if not options.table:
        result = measure(options.shapes, options.dtypes, options.reach, options.rounds)
        write_json(options.output or RESULTS / f"deform_conv_{result['platform']}.json", result)
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("deform_conv_*.json"))]
    write_between_markers("deform_conv", table(results), REPOSITORY / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()

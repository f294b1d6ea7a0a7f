"""Compile and forward seconds of HRNet-W48 and RAFT, beside PyTorch with the same weights in the same process.

PyTorch's HRNet is `benchmarks/torch_hrnet.py`, its RAFT torchvision's; each row needs the package to be there.

python -m benchmarks.networks --output benchmarks/results/networks.json --page docs/benchmarks.md
"""

import argparse
import functools
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.measure import write_between_markers
from jmpose_jax.files import write_json
from jmpose_jax.models import HRNet
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.weights import to_state_dict


def draw(module: Any, *inputs: Any, quiet: str | None = None, **options: Any) -> Any:
    """Variables from NumPy, which compiles nothing: kernels scaled by their fan-in, norms near the identity.

    Kernels below a module of the name `quiet` are a tenth of that: a flow that grew with every iteration would say
    nothing of how equal two networks are.
    """
    rng = np.random.default_rng(0)

    def leaf(path: Any, abstract: Any) -> np.ndarray:
        values, name = rng.standard_normal(abstract.shape, np.float32), path[-1].key
        if name == "kernel":
            gain = 0.07 if quiet in [step.key for step in path] else 0.7
            return np.float32(gain) * values / np.float32(np.sqrt(np.prod(abstract.shape[-4:-1])))
        return 1 + 0.1 * np.abs(values) if name in ("scale", "var") else 0.1 * values

    abstract = jax.eval_shape(lambda key: module.init(key, *inputs, **options), jax.random.key(0))
    return jax.tree_util.tree_map_with_path(leaf, abstract)


def best(run: Callable[[], Any], repeats: int) -> float:
    """The shortest of several runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def time_ours(function: Callable, arguments: tuple, repeats: int) -> tuple[dict[str, float], Any]:
    """Compile seconds (tracing counted), forward seconds, and the result."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compile_seconds = time.perf_counter() - start
    result = jax.block_until_ready(compiled(*arguments))
    forward = best(lambda: jax.block_until_ready(compiled(*arguments)), repeats)
    return {"compile_seconds": compile_seconds, "forward_seconds": forward}, result


def time_torch(
    network: Any, state_dict: dict[str, np.ndarray], inputs: list[np.ndarray], ours: Any, repeats: int
) -> dict[str, Any]:
    """PyTorch's forward with our weights, and how far apart the two outputs are.

    Args:
      network: of PyTorch; called with the inputs it returns one tensor or, as RAFT does, a list whose last one counts.
      state_dict: what it loads.
      inputs: float32 arrays [B, H, W, C].
      ours: our output, [B, h, w, C'].
      repeats: forward passes; the shortest counts.
    """
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    network.eval().load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state_dict.items()})
    tensors = [torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1))) for array in inputs]
    with torch.inference_mode():
        result = network(*tensors)
        theirs = np.moveaxis((result[-1] if isinstance(result, list) else result).numpy(), 1, -1)
        forward = best(lambda: network(*tensors), repeats)
    difference = float(np.abs(theirs - np.asarray(ours)).max() / np.abs(theirs).max())
    return {"forward_seconds": forward, "largest_relative_difference": difference, "version": torch.__version__}


def torchvision_raft(iterations: int) -> Any | None:
    """torchvision's RAFT with that many iterations; None where there is no torchvision that fits the torch at hand."""
    try:
        from torchvision.models.optical_flow import raft_large
    except (ImportError, RuntimeError):
        return None
    network = raft_large(weights=None)
    network.forward = functools.partial(type(network).forward, network, num_flow_updates=iterations)
    return network


def measure(width: int, size: tuple[int, int], iterations: int, repeats: int) -> dict[str, Any]:
    """All figures, compiled anew: the persistent compilation cache is left out."""
    jax.config.update("jax_enable_compilation_cache", False)
    rng = np.random.default_rng(1)
    images = rng.standard_normal((1, *size, 3), np.float32)
    hrnet = HRNet(width)
    variables = draw(hrnet, images)
    rows: dict[str, Any] = {}
    name = f"HRNet-W{width}"
    rows[name], heatmaps = time_ours(hrnet.apply, (variables, images), repeats)
    if importlib.util.find_spec("torch"):
        from benchmarks.torch_hrnet import TorchHRNet

        state_dict = to_state_dict(f"hrnet_w{width}", variables)
        rows[name]["torch"] = time_torch(TorchHRNet(width), state_dict, [images], heatmaps, repeats)
    pair = [rng.integers(0, 256, (1, *size, 3)).astype(np.float32) for _ in range(2)]
    raft = RAFT()
    variables = draw(raft, *pair, quiet="flow_head", iterations=1)
    run = lambda v, a, b: raft.apply(v, a, b, iterations)  # noqa: E731
    name = f"RAFT, {iterations} iterations"
    rows[name], flow = time_ours(run, (variables, *pair), repeats)
    if (network := torchvision_raft(iterations)) is not None:
        state_dict = to_state_dict("raft", variables, names="torchvision")
        scaled = [2 * (image / 255) - 1 for image in pair]  # what torchvision's takes
        rows[name]["torch"] = time_torch(network, state_dict, scaled, flow, repeats)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "size": list(size),
        "repeats": repeats,
        "networks": rows,
        "device": jax.devices()[0].device_kind,
        "machine": {"cores": cores, "processor": platform.machine(), "python": platform.python_version()},
        "load_average": os.getloadavg()[0],
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "flax")},
    }


def table(result: dict[str, Any]) -> str:
    """Markdown: a row a network."""
    height, width = result["size"]
    where = f"{result['machine']['cores']} core(s), load {result['load_average']:.1f}"
    lines = [
        f"| {height}×{width}, batch 1, {where} | compile, s | forward, s | PyTorch, s |",
        "|---|---|---|---|",
    ]
    for name, row in result["networks"].items():
        torch = f"{row['torch']['forward_seconds']:.2f}" if "torch" in row else "not measured"
        lines.append(f"| {name} | {row['compile_seconds']:.1f} | {row['forward_seconds']:.2f} | {torch} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--size", type=int, nargs=2, default=(384, 288), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--iterations", type=int, default=20, help="of RAFT")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="file whose marked table is replaced")
    arguments = parser.parse_args()
    result = measure(arguments.width, tuple(arguments.size), arguments.iterations, arguments.repeats)
    text = table(result)
    if arguments.output:
        write_json(arguments.output, result)
    if arguments.page:
        write_between_markers("networks", text, arguments.page)
    print(text)


if __name__ == "__main__":
    main()

"""Frames a second of each method that refines poses, and whether 100,000 frames take flat memory.

python -m benchmarks.refine_speed --output benchmarks/results/refine_speed.json --page docs/benchmarks.md

Poses of 17 joints in two dimensions, noise and gaps among them. Time is of `refine_sequence`, the least of three runs.
Memory is what a method allocates at its peak beside the poses that go in and the one array that comes out
(`tracemalloc`, which NumPy reports to), for 10,000 and for 100,000 frames: flat where the two are alike.
"""

import argparse
import json
import pathlib
import time
import tracemalloc
from typing import Any

import numpy as np

from benchmarks.measure import machine, publish
from jmpose_jax.models.sequences.smoothnet import SmoothNet
from jmpose_jax.refinement.filters import METHODS
from jmpose_jax.refinement.network import NetworkRefiner, compiled
from jmpose_jax.refinement.sequence import Refiner, refine_sequence

FPS, JOINTS = 30.0, 17
LENGTHS = (10_000, 100_000)


def sequence(frames: int, gaps: bool) -> tuple[np.ndarray, np.ndarray]:
    """Poses float64 [T, 17, 2] and valid bool [T, 17]; with gaps, every joint is away now and then."""
    rng = np.random.default_rng(0)
    time_s = np.arange(frames)[:, None, None] / FPS
    base = rng.uniform(0, 400, (JOINTS, 2))
    poses = base + 60 * np.sin(1.5 * time_s + base) + rng.normal(scale=2, size=(frames, JOINTS, 2))
    valid = np.ones((frames, JOINTS), bool)
    if gaps:
        for joint in range(JOINTS):
            for start in rng.integers(0, frames, frames // 200):
                valid[start : start + rng.integers(1, 15), joint] = False
    return poses, valid


def refiners() -> dict[str, Refiner]:
    """The filters, and SmoothNet at its published size, with random weights: its speed is theirs."""
    import jax

    model = SmoothNet(window=32)
    variables = model.init(jax.random.key(0), np.zeros((1, 32, 2 * JOINTS), np.float32))
    return {**{name: made() for name, made in METHODS.items()},
            "smoothnet": NetworkRefiner("smoothnet", compiled(model, variables), 32, 16)}  # fmt: skip


def measure(refiner: Refiner) -> dict[str, Any]:
    """Frames a second without and with gaps, and megabytes beside input and output."""
    found: dict[str, Any] = {}
    for gaps in (False, True):
        poses, valid = sequence(LENGTHS[0], gaps)
        refine_sequence(poses, valid, FPS, refiner)  # compiled
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            refine_sequence(poses, valid, FPS, refiner)
            seconds.append(time.perf_counter() - start)
        found["with_gaps" if gaps else "frames_per_second"] = len(poses) / min(seconds)
    for frames in LENGTHS:
        poses, valid = sequence(frames, False)
        tracemalloc.start()
        result = refiner(poses, valid, FPS)
        found[f"megabytes_{frames}"] = (tracemalloc.get_traced_memory()[1] - result.nbytes) / 1e6
        tracemalloc.stop()
    return found


def table(results: dict[str, Any]) -> str:
    """The Markdown table of the pages."""
    rows = [
        "| method | frames/s | with gaps | MB beside the poses, 10,000 frames | 100,000 frames |",
        "|---|---|---|---|---|",
    ]
    for name, found in results["methods"].items():
        rows.append(
            f"| {name} | {found['frames_per_second']:,.0f} | {found['with_gaps']:,.0f} | "
            f"{found['megabytes_10000']:.1f} | {found['megabytes_100000']:.1f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    results = {"machine": machine("scipy", "numpy"), "methods": {}}
    for name, refiner in refiners().items():
        results["methods"][name] = measure(refiner)
        print(name, json.dumps(results["methods"][name]), flush=True)
    publish("refine_speed", results, table(results), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

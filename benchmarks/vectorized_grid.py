"""A vectorised grid of n cells of tiny JM-Pose against n runs one after another, compilation counted.

  python -m benchmarks.vectorized_grid --cells 16 --steps 20 --output benchmarks/results/vectorized_grid.json \
    --page docs/benchmarks.md

Batches are random arrays that stay in memory, so that loaders count for nothing. Each run alone compiles its own step,
as `jmpose train` does; `--alone 2` times two of the n runs and takes n times their mean. It runs on all devices of JAX.
"""

import argparse
import dataclasses
import pathlib
import time
from typing import Any

import jax
import numpy as np

from benchmarks.measure import machine, publish
from configs import gamma_grid
from experiments.systems import objective_of
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import SKELETONS
from jmpose_jax.train import vectorized
from jmpose_jax.train.optimizers import Optimizer
from jmpose_jax.train.state import create_state
from jmpose_jax.train.step import make_train_step


def random_batch(config, size: int) -> ClipBatch:
    """A batch of the config's shapes."""
    rng = np.random.default_rng(0)
    height, width = config.dataset.input_size
    joints, frames = SKELETONS[config.dataset.skeleton].num_joints, 2 * config.dataset.delta + 1
    return ClipBatch(
        frames=rng.integers(0, 255, (size, frames, height, width, 3), np.uint8),
        keypoints=rng.uniform(8, width - 8, (size, joints, 2)).astype(np.float32),
        joint_weights=np.ones((size, joints), np.float32),
        transform=np.tile(np.eye(2, 3, dtype=np.float32), (size, 1, 1)),
        box_score=np.ones(size, np.float32),
        index=np.arange(size, dtype=np.int32),
        valid=np.ones(size, np.float32),
        flow=rng.normal(size=(size, frames - 1, height // 4, width // 4, 2)).astype(np.float32),
        flow_pairs=config.dataset.flow_pairs,
    )


class Timed:
    """A compiled program and how long that took."""

    def __init__(self, jitted, arguments, clock):
        start = clock()
        self.program = jitted.lower(*arguments).compile()
        self.compile_seconds = clock() - start


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    alone, together, cells = result["alone"], result["together"], result["cells"]
    seconds = "CPU seconds" if result["clock"] == "process_time" else "seconds"
    size = "smaller than tiny" if result["small"] else "tiny"
    lines = [
        f"| JM-Pose ({size}), batch {result['batch_size']}, {seconds} | programs | compile | step |",
        "|---|---|---|---|",
        f"| one run alone | {cells} for {cells} runs | {np.mean(alone['compile_seconds']):.1f} "
        f"| {np.mean(alone['step_seconds']):.3f} |",
        f"| {cells} cells together | {together['programs']} | {together['compile_seconds']:.1f} "
        f"| {together['step_seconds']:.3f} |",
        "",
        f"{cells} cells of {result['run_steps']} steps, compilation counted: {result['ratio_with_compilation']:.2f} of "
        f"the time of {cells} runs; steps alone {result['ratio_of_steps']:.2f}. On {result['machine']['device']}, "
        f"{result['machine']['cores']} core(s); {len(alone['step_seconds'])} of the runs alone and "
        f"{result['steps']} steps of each were timed.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--run_steps", type=int, default=220, help="length of a run that the ratio is reported for")
    parser.add_argument("--alone", type=int, default=2, help="how many of the runs alone are timed")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--small", action="store_true", help="smaller crops and model, for a quick look")
    parser.add_argument("--cpu_time", action="store_true", help="count CPU seconds: for a machine that others use too")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)  # what is to be timed must not be found on the disk

    clock = time.process_time if arguments.cpu_time else time.perf_counter
    config = gamma_grid.get_config()
    if arguments.small:
        config.dataset.input_size = (64, 48)
        config.model.channels = 8
        config.model.mutual_learning.num_layers = 1
        config.model.backbone.stage_modules = (1,)
    objective = objective_of(config)
    model, batch = create_model(config.model), random_batch(config, arguments.batch_size)
    options = dict(weight_decay=config.optimizer.weight_decay, frozen=config.optimizer.frozen)
    optimizer = Optimizer(config.optimizer.name, **options).create(lambda step: config.optimizer.learning_rate)
    state = create_state(model, optimizer, jax.random.key(0, impl="rbg"), batch)
    weights = [
        dataclasses.replace(objective, alpha=alpha).term_weights() for alpha in np.linspace(0, 5, arguments.cells)
    ]

    compile_seconds, step_seconds = [], []
    for cell in weights[: arguments.alone]:
        # A new function each time: nothing is found in JAX's cache, as between processes.
        step = make_train_step(model, optimizer, objective)
        mine, arrays = jax.tree.map(np.array, state), {k: np.float32(v) for k, v in cell.items()}
        timed = Timed(jax.jit(step, donate_argnums=0), (mine, batch, arrays), clock)
        mine, _ = timed.program(jax.device_put(mine), batch, arrays)
        jax.block_until_ready(mine)
        start = clock()
        for _ in range(arguments.steps):
            mine, _ = timed.program(mine, batch, arrays)
        jax.block_until_ready(mine)
        compile_seconds.append(timed.compile_seconds)
        step_seconds.append((clock() - start) / arguments.steps)
        print(f"alone: compile {compile_seconds[-1]:.1f} s, step {step_seconds[-1]:.3f} s", flush=True)

    step = make_train_step(model, optimizer, objective)
    mesh = vectorized.grid_mesh()
    common = vectorized.common_leaves(step, state, batch, weights[0], config.optimizer.frozen)
    count = -(-arguments.cells // mesh.devices.size) * mesh.devices.size
    cells = vectorized.spread(state, common, count, mesh)
    arrays = vectorized.stack_weights(weights, count, mesh)
    jitted = jax.jit(vectorized.make_cells_step(step, state, common, mesh), donate_argnums=0)
    timed = Timed(jitted, (cells.own, cells.common, batch, arrays), clock)
    own, _ = timed.program(cells.own, cells.common, batch, arrays)
    jax.block_until_ready(own)
    start = clock()
    for _ in range(arguments.steps):
        own, _ = timed.program(own, cells.common, batch, arrays)
    jax.block_until_ready(own)
    together = (clock() - start) / arguments.steps
    print(f"{arguments.cells} cells: compile {timed.compile_seconds:.1f} s, step {together:.3f} s", flush=True)

    alone = arguments.cells * (np.mean(compile_seconds) + arguments.run_steps * np.mean(step_seconds))
    vector = timed.compile_seconds + arguments.run_steps * together
    result = {
        "cells": arguments.cells,
        "small": arguments.small,
        "batch_size": arguments.batch_size,
        "alone": {"compile_seconds": compile_seconds, "step_seconds": step_seconds},
        "together": {
            "compile_seconds": timed.compile_seconds,
            "step_seconds": together,
            "program_gib": vectorized.program_bytes(timed.program) / 2**30,
            "programs": 1,
        },
        "clock": clock.__name__,
        "steps": arguments.steps,
        "run_steps": arguments.run_steps,
        "ratio_of_steps": together / (arguments.cells * float(np.mean(step_seconds))),
        "ratio_with_compilation": float(vector / alone),
        "devices": [d.device_kind for d in jax.devices()],
        "machine": machine("flax", "optax"),
    }
    print(f"steps alone: ratio {result['ratio_of_steps']:.2f}")
    print(f"{arguments.run_steps} steps, compilation counted: ratio {result['ratio_with_compilation']:.2f}")
    publish("vectorized_grid", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

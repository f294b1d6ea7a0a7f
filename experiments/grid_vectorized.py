"""Vectorised grids: cells that differ in their loss weights alone are trained and evaluated as one program.

What comes out is what single runs leave: a checkpoint, `metrics.jsonl`, predictions and `cell.json` for every cell.
"""

import hashlib
import json
import math
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from data_pipeline.clips import ClipTable
from data_pipeline.progress import ProgressBar
from experiments import data, evaluate, grid_run
from experiments.evaluation import estimate_split
from experiments.files import write_json
from experiments.grid_cells import Cell, Grid
from experiments.train import Parts, loss_weights, plain, set_up, with_estimators
from jmpose_jax.inference.estimate import estimator, model_heatmaps
from jmpose_jax.models.registry import create_model
from jmpose_jax.skeletons import SKELETONS
from jmpose_jax.train import checkpoints, vectorized
from jmpose_jax.train.writers import MetricsWriter

# Arrays of the step: what cells of one program may differ in.
FREE = ("loss.alpha", "loss.weights.")


def groups(grid: Grid, cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells that can be trained together: equal but for loss weights and alpha."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        fixed = {k: v for k, v in cell.overrides.items() if not k.startswith(FREE)}
        found.setdefault(json.dumps(fixed, sort_keys=True), []).append(cell)
    return list(found.values())


def run_vectorized(workdir: pathlib.Path, grid: Grid, *, memory_gib: float = 0.0) -> int:
    """Train and evaluate every group of two or more pending cells.

    Args:
      workdir: of the grid.
      grid: what it holds.
      memory_gib: largest program on one device; 0 takes what the device has. Groups that need more are cut in slices.

    Returns:
      Number of programs that were compiled for training.
    """
    compiled = 0
    for group in groups(grid, grid_run.pending(workdir, grid)):
        if len(group) > 1:
            compiled += _run_group(workdir, grid, group, memory_gib or _available_gib())
    return compiled


def _run_group(workdir: pathlib.Path, grid: Grid, group: Sequence[Cell], memory_gib: float) -> int:
    """All cells of a group, in as few slices as memory allows; the number of programs that were compiled."""
    config = with_estimators(grid.config(group[0]))
    mesh = vectorized.grid_mesh()
    devices = mesh.devices.size
    loader = data.train_loader(config)
    beginning = loader.get_state()
    try:
        parts = set_up(config, loader)
        weights = [loss_weights(grid.config(cell)) for cell in group]
        common = vectorized.common_leaves(parts.step, parts.state, parts.example, weights[0], config.optimizer.frozen)
        step = jax.jit(vectorized.make_cells_step(parts.step, parts.state, common, mesh), donate_argnums=0)
        size, tried = len(group), 0
        while True:
            size = -(-size // devices) * devices
            abstract = _abstract(parts, common, size, weights, mesh)
            program, tried = step.lower(*abstract).compile(), tried + 1
            needed = vectorized.program_bytes(program) / 2**30
            if needed <= memory_gib or size <= devices:
                break
            size = min(size // 2, max(int(size * memory_gib / needed), 1))
        print(f"{len(group)} cells as one program of {size}: {needed:.2f} GiB a device", flush=True)
        for start in range(0, len(group), size):
            loader.set_state(beginning)
            slice_ = group[start : start + size]
            _train_slice(workdir, grid, slice_, size, config, parts, common, program, loader, mesh)
        return tried
    finally:
        loader.close()


def _abstract(
    parts: Parts,
    common: Sequence[bool],
    size: int,
    weights: Sequence[Mapping[str, float]],
    mesh: jax.sharding.Mesh,
) -> tuple:
    """Shapes that the program is compiled for: nothing is allocated before it is known to fit."""
    split, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((vectorized.AXIS,), ()))

    def shape(x: Any, sharding: NamedSharding, *leading: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*leading, *np.shape(x)), x.dtype, sharding=sharding)

    leaves = jax.tree.leaves(parts.state)
    own = [shape(x, split, size) for x, c in zip(leaves, common) if not c]
    shared = [shape(x, everywhere) for x, c in zip(leaves, common) if c]
    batch = jax.tree.map(lambda x: shape(x, everywhere), parts.example)
    return own, shared, batch, {name: shape(np.float32(0), split, size) for name in weights[0]}


def _train_slice(
    workdir: pathlib.Path,
    grid: Grid,
    cells: Sequence[Cell],
    size: int,
    config: ConfigDict,
    parts: Parts,
    common: Sequence[bool],
    program: Any,
    loader: Any,
    mesh: jax.sharding.Mesh,
) -> None:
    began = time.monotonic()
    name = hashlib.sha256("".join(c.id for c in cells).encode()).hexdigest()[:12]
    folder = workdir / "vectorized" / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = vectorized.stack_weights([loss_weights(grid.config(cell)) for cell in cells], size, mesh)
    states = vectorized.spread(parts.state, common, size, mesh)
    broken: dict[int, str] = {}  # place in the slice -> what happened
    with checkpoints.checkpointer(folder, keep=config.train.keep) as manager:
        done = 0
        if manager.latest is not None:
            states, done, position, broken = _restore(manager, states)
            loader.set_state(position)
        writers = [MetricsWriter(grid_run.cell_folder(workdir, cell), done) for cell in cells]
        bar = ProgressBar(parts.total_steps, f"train {len(cells)} cells", initial=done)
        timer, counted = time.perf_counter(), 0
        while done < parts.total_steps:
            # As in the loop of a single run, the batches of all cells being one: save, then read, then step.
            batch = jax.device_put(next(loader), NamedSharding(mesh, PartitionSpec()))
            own, metrics = program(states.own, states.common, batch, weights)
            states = states.replace(own=own)
            done, counted = done + 1, counted + 1
            if done % config.train.log_every == 0 or done == parts.total_steps:
                logged = {key: np.asarray(value) for key, value in metrics.items()}
                now = time.perf_counter()
                extra = {
                    "learning_rate": float(parts.schedule(done - 1)),
                    "clips_per_second": counted * config.train.batch_size / (now - timer),
                }
                timer, counted = now, 0
                _log(cells, writers, logged, extra, done, broken)
            bar.update(1)
            if done % config.train.save_every == 0 and done < parts.total_steps:
                _save(manager, states, done, loader.get_state(), broken)
        if manager.latest is None or manager.latest.step < done:
            _save(manager, states, done, loader.get_state(), broken)
        bar.close()
        for writer in writers:
            writer.close()
    for place, cell in enumerate(cells):
        if place in broken:
            grid_run.write_status(workdir, cell, "nan", message=broken[place])
            continue
        _leave_checkpoint(workdir, grid, cell, vectorized.cell_state(states, place, parts.state, common), loader)
    _evaluate(workdir, cells, broken, states, parts, common, config, mesh, time.monotonic() - began)


def _log(cells, writers, logged: Mapping[str, np.ndarray], extra, step: int, broken: dict[int, str]) -> None:
    """One line a cell; a cell whose loss is not finite is noted and says no more."""
    for place, writer in enumerate(writers[: len(cells)]):
        if place in broken:
            continue
        scalars = {key: float(value[place]) for key, value in logged.items()}
        if not all(math.isfinite(v) for k, v in scalars.items() if k.startswith("loss/")):
            broken[place] = f"the loss is not finite at step {step}"
            continue
        writer.write(step, scalars | extra)


def _save(manager: Any, states: vectorized.Cells, step: int, position: dict, broken: Mapping[int, str]) -> None:
    manager.wait()
    items = {"own": dict(enumerate_keys(states.own)), "data": position}
    metadata = {"broken": {str(k): v for k, v in broken.items()}}
    manager.save_checkpointables_async(step, items, custom_metadata=metadata)


def enumerate_keys(leaves: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Leaves by names that sort in their order, as checkpoints want them."""
    return ((f"{i:05d}", leaf) for i, leaf in enumerate(leaves))


def _restore(manager: Any, states: vectorized.Cells) -> tuple[vectorized.Cells, int, dict, dict[int, str]]:
    """The slice as it was saved: states, steps done, input position, and the cells that had turned NaN."""
    step = manager.latest.step
    abstract = {k: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) for k, x in enumerate_keys(states.own)}
    items = manager.load_checkpointables(step, {"own": abstract, "data": None})
    own = [items["own"][key] for key in sorted(items["own"])]
    metadata = manager.checkpointables_metadata(step).custom_metadata or {}
    return states.replace(own=own), step, items["data"], {int(k): v for k, v in metadata.get("broken", {}).items()}


def _leave_checkpoint(workdir: pathlib.Path, grid: Grid, cell: Cell, state: Any, loader: Any) -> None:
    """The cell's own checkpoint and config, as a run alone would have left them."""
    folder = grid_run.cell_folder(workdir, cell)
    description = plain(with_estimators(grid.config(cell)))
    with checkpoints.checkpointer(folder) as manager:
        if manager.latest is None or manager.latest.step < int(state.step):
            checkpoints.save(manager, state, loader.get_state(), description)
    write_json(folder / "config.json", description)


def _evaluate(
    workdir: pathlib.Path,
    cells: Sequence[Cell],
    broken: Mapping[int, str],
    states: vectorized.Cells,
    parts: Parts,
    common: Sequence[bool],
    config: ConfigDict,
    mesh: jax.sharding.Mesh,
    trained_seconds: float,
) -> None:
    """Score all cells in one pass over the evaluation split."""
    began = time.monotonic()
    maps = model_heatmaps(
        create_model(config.model),
        SKELETONS[config.dataset.skeleton],
        flip_test=config.eval.flip_test,
        shift=config.eval.shift_heatmap,
    )
    run = estimator(maps, decode=config.eval.decode, blur_kernel=config.eval.blur_kernel)
    together = jax.jit(
        vectorized.over_cells(lambda state, batch: run(state.variables, batch), parts.state, common, mesh)
    )

    def by_cell(batch: Any) -> dict[str, Any]:
        keypoints, scores = (np.asarray(x) for x in together(states, batch))
        return {cell.id: (keypoints[place], scores[place]) for place, cell in enumerate(cells)}

    loader = data.eval_loader(config)
    try:
        table: ClipTable = loader.table
        estimates = estimate_split(by_cell, loader, len(table))
    finally:
        loader.close()
    annotations = data.dataset_root(config) / "annotations" / config.dataset.eval_split
    shared = (trained_seconds + time.monotonic() - began) / len(cells)
    for place, cell in enumerate(cells):
        if place not in broken:
            folder = grid_run.cell_folder(workdir, cell)
            output = evaluate.write_predictions(config, estimates[cell.id], table, annotations, folder / "predictions")
            result = evaluate.score(config, folder, output)
            grid_run.write_status(workdir, cell, "done", ap=result["ap"], seconds=round(shared, 1), vectorized=True)


def _available_gib() -> float:
    """Nine tenths of what the device has to give; on CPUs half of the memory that is free."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return 0.9 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) / 2**30
    return 0.5 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30

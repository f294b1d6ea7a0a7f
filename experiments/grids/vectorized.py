"""Vectorised grids: cells that differ in their loss weights alone are trained and evaluated as one program.

What comes out is what single runs leave: a checkpoint, `metrics.jsonl`, predictions and `cell.json` for every cell.
"""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from experiments.command.reported import reported
from experiments.evaluation.estimates import run_split
from experiments.grids import engines
from experiments.grids.cells import Cell, Grid
from experiments.run.building import Parts, plain, set_up
from experiments.systems import built, data_of, evaluation_of, objective_of
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.models.registry import create_model
from jmpose_jax.progress import ProgressBar
from jmpose_jax.records import ClipBatch
from jmpose_jax.train import checkpoints, vectorized
from jmpose_jax.train.preemption import PreemptionNotice
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.writers import MetricsWriter

# Arrays of the step: what cells of one program may differ in.
FREE = ("loss.alpha", "loss.gamma.", "loss.weights.")


def groups(grid: Grid, cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells that can be trained together: equal but for loss weights, alpha and gammas."""
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
    begun = _begun(workdir, grid)
    taken = {cell.id for cells, _ in begun for cell in cells}
    for group in groups(grid, engines.pending(workdir, grid)):
        ids = {cell.id for cell in group}
        mine = [(cells, size) for cells, size in begun if ids & {cell.id for cell in cells}]
        fresh = [cell for cell in group if cell.id not in taken]
        if mine or len(fresh) > 1:
            fresh = fresh if len(fresh) > 1 else []
            compiled += _run_group(workdir, grid, mine, fresh, memory_gib or _available_gib())
    return compiled


def _begun(workdir: pathlib.Path, grid: Grid) -> list[tuple[list[Cell], int]]:
    """The slices that were left in the middle, as they were cut: cells and places of the program.

    A slice goes on with the same cells, whichever of them have ended meanwhile and however memory is cut today.
    """
    cells = {cell.id: cell for cell in reversed(grid.cells)}
    waiting = {cell.id for cell in engines.pending(workdir, grid)}
    found, devices = [], len(jax.devices())
    for path in sorted((workdir / "vectorized").glob("*/slice.json")):
        where, noted = str(path), checks.read_json(path)
        ids = [checks.typed(i, str, f"{where}: 'cells'") for i in checks.field(noted, "cells", list, where)]
        size = checks.field(noted, "size", int, where)
        saved = any(child.name.isdigit() for child in (path.parent / checkpoints.FOLDER).glob("*"))
        if saved and size % devices == 0 and waiting & set(ids) and cells.keys() >= set(ids):
            found.append(([cells[i] for i in ids], size))
    return found


def _run_group(
    workdir: pathlib.Path,
    grid: Grid,
    begun: Sequence[tuple[Sequence[Cell], int]],
    fresh: Sequence[Cell],
    memory_gib: float,
) -> int:
    """Slices that go on, and cells of the same group in as few slices as memory allows; how often it was compiled."""
    group = [*(cell for cells, _ in begun for cell in cells), *fresh]
    config = grid.config(group[0])
    if config.train.evaluate_every:
        raise InputError(
            "config.train.evaluate_every: the cells of --vectorize are evaluated at their end; set it to 0, or leave "
            "--vectorize out"
        )
    mesh = vectorized.grid_mesh()
    devices = mesh.devices.size
    print(f"{len(group)} cells together: reading the data set, initial values …", flush=True)
    system = built(config)
    loader = system.data.train(config)
    beginning = loader.get_state()
    try:
        parts = set_up(config, system, loader)
        weights = [objective_of(grid.config(cell)).term_weights() for cell in group]
        common = vectorized.common_leaves(parts.step, parts.state, parts.example, weights[0], config.optimizer.frozen)
        step = jax.jit(vectorized.make_cells_step(parts.step, parts.state, common, mesh), donate_argnums=0)
        programs: dict[int, Any] = {}  # by size

        def program_of(size: int) -> Any:
            if size not in programs:
                print(f"compiling one program of {size} cells …", flush=True)
                programs[size] = step.lower(*_abstract(parts, common, size, weights, mesh)).compile()
            return programs[size]

        slices = list(begun)
        size = len(fresh)
        while size:
            size = -(-size // devices) * devices
            needed = vectorized.program_bytes(program_of(size)) / 2**30
            if needed <= memory_gib or size <= devices:
                print(f"{len(fresh)} cells as one program of {size}: {needed:.2f} GiB a device", flush=True)
                slices += [(fresh[start : start + size], size) for start in range(0, len(fresh), size)]
                break
            size = min(size // 2, max(int(size * memory_gib / needed), 1))
        for cells, size in slices:
            loader.set_state(beginning)
            _train_slice(workdir, grid, cells, size, config, parts, common, program_of, loader, mesh)
        return len(programs)
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
    program_of: Callable[[int], Any],
    loader: Any,
    mesh: jax.sharding.Mesh,
) -> None:
    began = time.monotonic()
    name = hashlib.sha256("".join(c.id for c in cells).encode()).hexdigest()[:12]
    folder = workdir / "vectorized" / name
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "slice.json", {"cells": [cell.id for cell in cells], "size": size})
    weights = vectorized.stack_weights([objective_of(grid.config(cell)).term_weights() for cell in cells], size, mesh)
    states = vectorized.spread(parts.state, common, size, mesh)
    broken: dict[int, str] = {}  # place in the slice -> what happened
    with contextlib.ExitStack() as closing, checkpoints.checkpointer(folder, keep=config.train.keep) as manager:
        done = 0
        if manager.latest is not None:
            states, done, position, broken = _restore(manager, states)
            loader.set_state(position)
        writers = [MetricsWriter(engines.cell_folder(workdir, cell), done) for cell in cells]
        for writer in writers:
            closing.callback(writer.close)
        bar = ProgressBar(parts.total_steps, f"train {len(cells)} cells", initial=done)
        timer, counted = time.perf_counter(), 0
        since: list[tuple[int, Any]] = []  # step and metrics, since the last log line
        skipped = [0] * len(cells) if config.train.non_finite == "skip" else None
        program = program_of(size) if done < parts.total_steps else None
        with PreemptionNotice() as notice:
            while done < parts.total_steps:
                # As in the loop of a single run, the batches of all cells being one: save, then read, then step.
                batch = jax.device_put(next(loader), NamedSharding(mesh, PartitionSpec()))
                own, metrics = program(states.own, states.common, batch, weights)
                states = states.replace(own=own)
                done, counted = done + 1, counted + 1
                since.append((done, metrics))
                stop = notice.reached() and done < parts.total_steps
                saving = stop or (done % config.train.save_every == 0 and done < parts.total_steps)
                logging = done % config.train.log_every == 0 or done == parts.total_steps
                if logging or saving:
                    _inspect(cells, jax.device_get(since), broken, skipped)
                    since.clear()
                if logging:
                    now = time.perf_counter()
                    extra = {
                        "learning_rate": float(parts.schedule(done - 1)),
                        "clips_per_second": counted * config.train.batch_size / (now - timer),
                    }
                    timer, counted = now, 0
                    _log(cells, writers, metrics, extra, done, broken, skipped)
                bar.update(1)
                if saving:
                    _save(manager, states, done, loader.get_state(), broken)
                if stop:
                    manager.wait()
                    raise notice.stopped(f", saved at step {done}; run the same command again to go on")
        if manager.latest is None or manager.latest.step < done:
            _save(manager, states, done, loader.get_state(), broken)
        bar.close()
    for place, cell in enumerate(cells):
        if engines.read_status(workdir, cell)["status"] in engines.FINAL:
            continue  # it ended before this slice was broken off
        if place in broken:
            engines.write_status(workdir, cell, "nan", message=broken[place])
            continue
        _leave_checkpoint(workdir, grid, cell, vectorized.cell_state(states, place, parts.state, common), loader)
    _evaluate(workdir, cells, broken, states, parts, common, config, mesh, time.monotonic() - began)
    shutil.rmtree(folder)  # every cell has a checkpoint of its own


def _inspect(
    cells: Sequence[Cell],
    steps: Sequence[tuple[int, Mapping[str, np.ndarray]]],
    broken: dict[int, str],
    skipped: list[int] | None,
) -> None:
    """Note the cells whose loss or gradient is not finite; where such steps are skipped, count them."""
    for step, metrics in steps:
        for place in range(len(cells)):
            watched = (value[place] for k, value in metrics.items() if k.startswith("loss/") or k == "gradient_norm")
            if place in broken or all(math.isfinite(value) for value in watched):
                continue
            if skipped is None:
                broken[place] = f"the loss or its gradient is not finite at step {step}"
            else:
                skipped[place] += 1


def _log(
    cells: Sequence[Cell],
    writers: Sequence[MetricsWriter],
    metrics: Mapping[str, jax.Array],
    extra: Mapping[str, float],
    step: int,
    broken: Mapping[int, str],
    skipped: Sequence[int] | None,
) -> None:
    """One line a cell; one that is broken says no more."""
    values = {key: np.asarray(value) for key, value in metrics.items()}
    for place, writer in enumerate(writers):
        if place not in broken:
            count = {} if skipped is None else {"skipped_steps": skipped[place]}
            writer.write(step, {key: float(value[place]) for key, value in values.items()} | extra | count)


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
    folder = engines.cell_folder(workdir, cell)
    description = plain(grid.config(cell))
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
    evaluation, source = evaluation_of(config), data_of(config)
    run = evaluation.estimator(config, create_model(config.model))

    def estimates_of(state: TrainState, batch: ClipBatch) -> Any:
        averaged = config.eval.ema and state.ema
        return run({**state.variables, "params": state.ema} if averaged else state.variables, batch)

    together = jax.jit(vectorized.over_cells(estimates_of, parts.state, common, mesh))

    def by_cell(batch: Any) -> dict[str, Any]:
        found = jax.device_get(together(states, batch))
        return {cell.id: jax.tree.map(lambda x, place=place: x[place], found) for place, cell in enumerate(cells)}

    loader = source.evaluate(config)
    try:
        table = loader.table
        batches = reported(loader, f"evaluate {len(cells)} cells")
        estimates = run_split(by_cell, batches, len(table))
    finally:
        loader.close()
    print(f"scoring {len(cells)} cells …", flush=True)
    shared = (trained_seconds + time.monotonic() - began) / len(cells)
    for place, cell in enumerate(cells):
        if place not in broken and engines.read_status(workdir, cell)["status"] not in engines.FINAL:
            folder = engines.cell_folder(workdir, cell)
            found = {evaluation.MEASURE.field: evaluation.leave(config, estimates[cell.id], table, folder)}
            engines.write_status(workdir, cell, "done", **found, seconds=round(shared, 1), vectorized=True)


def _available_gib() -> float:
    """Nine tenths of what the device has to give; on CPUs, which share it, half of the memory that is there."""
    devices = jax.local_devices()
    stats = devices[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return 0.9 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) / 2**30
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():
        # Free pages leave out what the system holds in caches and would give.
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
        free = int(found[1]) * 1024 if found else free
    return 0.5 * free / 2**30 / len(devices)

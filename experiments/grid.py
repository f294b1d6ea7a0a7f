"""`jmpose grid`: train and evaluate every cell of a config's grid, and write table, heat map and best cell.

`get_grid()` stands beside `get_config()` in the config file. `--engine` runs the cells here, as Slurm jobs, or prints
their commands; `--vectorize` trains cells that differ in their loss weights alone as one program. Started again, the
command goes on where it was; with `--workdir` alone it takes the grid that the folder holds.
"""

import importlib.util
import inspect
import json
import pathlib
import shlex
import sys
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from experiments import grid_cells
from experiments.grid_cells import Grid
from experiments.launch import launch
from jmpose_jax.errors import InputError
from jmpose_jax.locks import locked

ENGINES = ("local", "submitit", "print")


def load_grid(path: str) -> dict[str, Any]:
    """`get_grid()` of a config file, given as for --config: `file.py` or `file.py:variant`.

    Raises:
      InputError: the file has no such function.
    """
    file, _, variant = path.partition(":")
    spec = importlib.util.spec_from_file_location("grid_config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_grid"):
        raise InputError(f"--config {file} has no get_grid(); put one beside get_config()")
    takes_variant = bool(inspect.signature(module.get_grid).parameters)
    return module.get_grid(variant) if variant and takes_variant else module.get_grid()


def plan(config: ConfigDict, grid: dict[str, Any], workdir: pathlib.Path) -> Grid:
    """The cells of a grid, and the workdir claimed for them.

    Raises:
      InputError: as `grid_cells.expand` and `grid_cells.claim`.
    """
    base = json.loads(config.copy_and_resolve_references().to_json_best_effort())
    expanded = grid_cells.expand(base, grid)
    grid_cells.claim(workdir, expanded)
    return expanded


def run_grid(
    grid: Grid,
    workdir: pathlib.Path,
    *,
    engine: str = "local",
    vectorize: bool = False,
    memory_gib: float = 0.0,
    cluster: str = "slurm",
    options: dict[str, Any] | None = None,
    wait: bool = True,
) -> dict[str, Any]:
    """Bring every cell to its end and write the report.

    Args:
      grid: from `plan` or `grid_cells.load`.
      workdir: the grid's folder.
      engine: "local", "submitit" or "print".
      vectorize: first train what can be trained together here; the engine gets what is left.
      memory_gib: bound of a vectorised program on one device; 0 takes what the device has.
      cluster, options, wait: as in `run_submitit`.

    Returns:
      What `write_report` returns.
    """
    from experiments import grid_report, grid_run

    if vectorize:
        from experiments.grid_vectorized import run_vectorized

        run_vectorized(workdir, grid, memory_gib=memory_gib)
    cells = grid_run.pending(workdir, grid)
    if engine == "print":
        for cell in cells:
            print(shlex.join(grid_run.command(workdir, cell)))
    elif engine == "submitit" and cells:
        grid_run.run_submitit(workdir, cells, cluster, options or {}, wait)
    elif engine == "local":
        grid_run.run_local(workdir, cells)
    return grid_report.write_report(workdir, grid)


def _options(pairs: list[str]) -> dict[str, Any]:
    """submitit's parameters from NAME=VALUE."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--slurm={pair}: write NAME=VALUE, e.g. --slurm=slurm_partition=gpu")
        found[name] = int(value) if value.lstrip("-").isdigit() else value
    return found


def main(argv: list[str] | None = None) -> None:
    config = config_flags.DEFINE_config_file("config", None, "Config file with get_grid().", lock_config=True)
    workdir = flags.DEFINE_string("workdir", None, "Folder of the grid; a grid found there goes on.")
    engine = flags.DEFINE_enum("engine", "local", ENGINES, "Where the cells run; print writes their commands.")
    index = flags.DEFINE_integer("index", None, "Run this cell alone, here.", lower_bound=0)
    vectorize = flags.DEFINE_bool("vectorize", False, "Train cells that differ in loss weights alone as one program.")
    memory = flags.DEFINE_float("memory_gib", 0.0, "Bound of a vectorised program on a device; 0: what there is.")
    cluster = flags.DEFINE_string("cluster", "slurm", "submitit's cluster: slurm, or local.")
    slurm = flags.DEFINE_multi_string("slurm", [], "A parameter of submitit, e.g. slurm_partition=gpu; repeatable.")
    wait = flags.DEFINE_bool("wait", True, "Stay until submitted jobs have ended.")

    def run() -> None:
        if workdir.value is None:
            raise InputError("--workdir is missing")
        folder = pathlib.Path(workdir.value)
        if config.value is None:
            grid = grid_cells.load(folder)
        else:
            grid = plan(config.value, load_grid(flags.FLAGS["config"].config_filename), folder)
        if index.value is not None:
            from experiments.grid_run import run_cell

            status = run_cell(folder, index.value)
            if status["status"] == "failed":
                raise InputError(f"cell {index.value} failed: {status['message']}")
            print(f"cell {index.value}: {status['status']}")
            return
        with locked(folder):
            report = run_grid(
                grid,
                folder,
                engine=engine.value,
                vectorize=vectorize.value,
                memory_gib=memory.value,
                cluster=cluster.value,
                options=_options(slurm.value),
                wait=wait.value,
            )
        if engine.value != "print":
            print(f"cells: {', '.join(f'{n} {status}' for status, n in report['counts'].items())}")
            if report["best"] is not None:
                where = ", ".join(f"{axis} = {label}" for axis, label in report["best"].items())
                print(f"best: {where}, mAP {report['value']:.1f}")
            print(f"wrote {folder / 'grid.csv'}, grid.md, grid.png")

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)

"""`jmpose grid`: train and evaluate every cell of a config's grid, and write table, heat map and best cell.

`get_grid()` stands beside `get_config()` in the config file. `--engine` runs the cells here, as Slurm jobs, or prints
their commands; `--vectorize` trains cells that differ in their loss weights alone as one program. Started again, the
command goes on where it was; with `--workdir` alone it takes the grid that the folder holds. A failed cell stops no
other; once all have been tried, the status is 2 where only the input of cells was at fault, 1 where cells failed for
another reason, 65 where none has a result because losses turned NaN, and otherwise 0: a cell whose loss turned NaN
beside others that are done is a result too; a line on standard error says how many there are, and `grid.md` why.
"""

import importlib.util
import inspect
import json
import pathlib
import shlex
import sys
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from experiments.command.given import required
from experiments.command.launch import launch
from experiments.configuration.flag import define_config
from experiments.grids import cells as grid_cells
from experiments.grids.cells import Grid
from experiments.grids.measure import check_evaluable, measure_of
from jmpose_jax.errors import CellsFailed, InputError, NonFiniteLoss
from jmpose_jax.files import check_writable
from jmpose_jax.locks import locked

ENGINES = ("local", "submitit", "print")


def load_grid(path: str) -> dict[str, Any]:
    """`get_grid()` of a config file, given as for --config: `file.py` or `file.py:variant`.

    Raises:
      InputError: the file has no such function, or it fails.
    """
    file, _, variant = path.partition(":")
    spec = importlib.util.spec_from_file_location("grid_config", file)
    if spec is None:
        raise InputError(f"--config={file} is no Python file; give one with get_config() and get_grid()")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_grid"):
            raise InputError(f"--config {file} has no get_grid(); put one beside get_config()")
        takes_variant = bool(inspect.signature(module.get_grid).parameters)
        return module.get_grid(variant) if variant and takes_variant else module.get_grid()
    except InputError:
        raise
    except Exception as error:  # the user's code
        raise InputError(f"--config={path}: get_grid() raises {type(error).__name__}: {error}") from error


def plan(config: ConfigDict, grid: dict[str, Any], workdir: pathlib.Path, *, checked: bool = False) -> Grid:
    """The cells of a grid, and the workdir claimed for them.

    Args:
      config: of the grid.
      grid: as `get_grid()` gives it.
      workdir: the grid's folder.
      checked: look at what the cells need first, as `check_cells`; nothing is written where that is missing.

    Raises:
      InputError: as `grid_cells.expand`, `measure_of`, `check_cells` and `grid_cells.claim`, or the workdir cannot be
        written to.
    """
    base = json.loads(config.copy_and_resolve_references().to_json_best_effort())
    expanded = grid_cells.expand(base, grid)
    measure_of(expanded)
    check_writable(workdir, "--workdir")
    if checked:
        if (workdir / "grid.json").exists():
            grid_cells.claim(workdir, expanded)  # another grid's folder is the greater fault; nothing is written
        check_cells(workdir, expanded)
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
    from experiments.grids import engines
    from experiments.grids import report as grid_report

    if vectorize:
        from experiments.grids.vectorized import run_vectorized

        run_vectorized(workdir, grid, memory_gib=memory_gib)
    cells = engines.pending(workdir, grid)
    if engine == "print":
        for cell in cells:
            print(shlex.join(engines.command(workdir, cell)))
    elif engine == "submitit" and cells:
        engines.run_submitit(workdir, cells, cluster, options or {}, wait)
    elif engine == "local":
        engines.run_local(workdir, cells)
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


def check_cells(workdir: pathlib.Path, grid: Grid) -> None:
    """Look at what each cell that is left needs besides its training, before the first one takes its time.

    Raises:
      InputError: a cell could not be evaluated, or its folder cannot be written to.
    """
    from experiments.grids import engines

    for cell in engines.pending(workdir, grid):
        check_writable(engines.cell_folder(workdir, cell), "--workdir")
        try:
            check_evaluable(grid.config(cell))
        except InputError as fault:
            raise InputError(f"cell {cell.index} ({engines.describe(cell)}): {fault}") from None


def judge_cells(workdir: pathlib.Path, grid: Grid) -> None:
    """What the command says once all cells have been tried and reported.

    Raises:
      InputError: cells failed, all of them because their input is at fault.
      CellsFailed: cells failed, for another reason.
      NonFiniteLoss: no cell has a result, because losses turned NaN.
    """
    from experiments.grids import engines

    statuses = [(cell, engines.read_status(workdir, cell)) for cell in grid.cells]
    failed = [(cell, status) for cell, status in statuses if status["status"] == "failed"]
    broken = sum(status["status"] == "nan" for _, status in statuses)
    turned = f"{broken} of {len(statuses)} cells turned NaN" if broken else ""
    if failed:
        cell, status = failed[0]
        message = (
            f"{len(failed)} of {len(statuses)} cells failed{f', {turned}' if turned else ''}; the first is cell "
            f"{cell.index} ({engines.describe(cell)}): {status.get('message') or 'no reason is known'}; the reasons "
            f"are in {workdir / 'grid.md'} and {workdir / 'cells'}/<id>; the same command tries them again"
        )
        at_fault = all(status.get("error") == engines.AT_FAULT for _, status in failed)
        raise InputError(message) if at_fault else CellsFailed(message)
    if turned and not any(status["status"] in ("done", "missing") for _, status in statuses):
        raise NonFiniteLoss(f"{turned}, none has a result; the reasons are in {workdir / 'grid.md'}")
    if turned:
        print(f"{turned}: they have no figure; the reasons are in {workdir / 'grid.md'}", file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    config = define_config("Config file with get_grid().")
    workdir = flags.DEFINE_string("workdir", None, "Folder of the grid; a grid found there goes on.")
    engine = flags.DEFINE_enum("engine", "local", ENGINES, "Where the cells run; print writes their commands.")
    index = flags.DEFINE_integer("index", None, "Run this cell alone, here.", lower_bound=0)
    vectorize = flags.DEFINE_bool("vectorize", False, "Train cells that differ in loss weights alone as one program.")
    memory = flags.DEFINE_float("memory_gib", 0.0, "Bound of a vectorised program on a device; 0: what there is.")
    cluster = flags.DEFINE_string("cluster", "slurm", "submitit's cluster: slurm, or local.")
    slurm = flags.DEFINE_multi_string("slurm", [], "A parameter of submitit, e.g. slurm_partition=gpu; repeatable.")
    wait = flags.DEFINE_bool("wait", True, "Stay until submitted jobs have ended.")

    def run() -> None:
        required(workdir)
        folder = check_writable(workdir.value, "--workdir")
        if index.value is not None:  # the cell's own folder is locked by its training
            the_grid(folder)
            run_one(folder)
            return
        with locked(folder):
            run_all(folder)

    def the_grid(folder: pathlib.Path) -> Grid:
        here = index.value is None and (engine.value == "local" or vectorize.value)
        if config.value is not None:
            return plan(config.value, load_grid(flags.FLAGS["config"].config_filename), folder, checked=here)
        grid = grid_cells.load(folder)
        if here:
            check_cells(folder, grid)
        return grid

    def run_one(folder: pathlib.Path) -> None:
        from experiments.grids.engines import run_cell

        status = run_cell(folder, index.value)
        if status["status"] == "failed":
            raise InputError(f"cell {index.value} failed: {status['message']}")
        print(f"cell {index.value}: {status['status']}")

    def run_all(folder: pathlib.Path) -> None:
        options = _options(slurm.value)
        grid = the_grid(folder)
        report = run_grid(
            grid,
            folder,
            engine=engine.value,
            vectorize=vectorize.value,
            memory_gib=memory.value,
            cluster=cluster.value,
            options=options,
            wait=wait.value,
        )
        if engine.value != "print":
            print(f"cells: {', '.join(f'{n} {status}' for status, n in report['counts'].items())}")
            print(report["words"])
            print(f"wrote {folder / 'grid.csv'}, grid.md, grid.png, grid.html", flush=True)
            judge_cells(folder, grid)

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)

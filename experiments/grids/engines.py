"""The engines of `jmpose grid`: each brings every cell of a workdir to its end, and none is stopped by a dead one.

A cell's folder is `cells/<id>`; `cell.json` in it says how it ended: "done" with its metrics, "nan", or "failed". A
cell that is done or turned NaN is not run again; every other one goes on from its last checkpoint.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

from experiments.grids import cells as grid_cells
from experiments.grids.cells import Cell, Grid
from experiments.grids.measure import check_evaluable, measure_of
from experiments.systems import evaluation_of
from jmpose_jax import checks
from jmpose_jax.errors import InputError, Interrupted, NonFiniteLoss, Preempted
from jmpose_jax.files import check_writable, write_json, write_text
from jmpose_jax.locks import FolderTaken
from jmpose_jax.stopping import StopNotice

FINAL = ("done", "nan")
LOG = "log.txt"  # in a cell's folder: what the process of a failed cell said
STATUSES = (*FINAL, "failed", "missing")
AT_FAULT = "InputError"  # what a failed cell's `error` is where the config or a file is at fault, not the program


def cell_folder(workdir: pathlib.Path, cell: Cell) -> pathlib.Path:
    return workdir / "cells" / cell.id


def read_status(workdir: pathlib.Path, cell: Cell) -> dict[str, Any]:
    """The content of a cell's `cell.json`; {"status": "missing"} where it has not ended.

    Raises:
      InputError: the file is not what a cell leaves.
    """
    path = cell_folder(workdir, cell) / "cell.json"
    if not os.path.lexists(path):
        return {"status": "missing"}
    try:
        content = checks.read_json(path)
        if checks.field(content, "status", str, str(path)) not in STATUSES:
            raise InputError(f"{path}: 'status' is {content['status']!r}, none of {', '.join(STATUSES)}")
        for name in ("message", "error"):
            checks.field(content, name, str, str(path), "")
        for name in ("ap", "endpoint_error"):
            for column, value in checks.field(content, name, dict, str(path), {}).items():
                if value is not None and not isinstance(value, float):  # NaN too, which we wrote once
                    checks.typed(value, float, f"{path}: {name!r}: {column!r}")
    except InputError as fault:
        raise InputError(f"{fault}; remove the file, and the cell goes on from its last checkpoint") from None
    return content


def write_status(workdir: pathlib.Path, cell: Cell, status: str, **more: Any) -> dict[str, Any]:
    """Note how a cell ended."""
    content = {"id": cell.id, "status": status, "overrides": cell.overrides, **more}
    write_json(cell_folder(workdir, cell) / "cell.json", content)
    return content


def pending(workdir: pathlib.Path, grid: Grid) -> list[Cell]:
    """The cells that have not come to their end, each id once."""
    first = {cell.id: cell for cell in reversed(grid.cells)}
    return [c for c in grid.cells if first[c.id] is c and read_status(workdir, c)["status"] not in FINAL]


def run_cell(workdir: str | os.PathLike, index: int) -> dict[str, Any]:
    """Train and evaluate one cell, unless it has ended before.

    Args:
      workdir: of a grid.
      index: which cell.

    Returns:
      The content of its `cell.json`.

    Raises:
      InputError: the workdir holds no grid, or none with such a cell.
      Preempted, Interrupted: SIGTERM or Ctrl-C came; the cell has not ended and goes on when it is started again.
      FolderTaken: another process is training the cell.
    """
    from experiments.train import train

    workdir = pathlib.Path(workdir)
    grid = grid_cells.load(workdir)
    if not 0 <= index < len(grid.cells):
        raise InputError(f"--index={index}: the grid has the cells 0 to {len(grid.cells) - 1}")
    cell = grid.cells[index]
    status = read_status(workdir, cell)
    if status["status"] in FINAL:
        return status
    began = time.monotonic()
    folder = cell_folder(workdir, cell)
    check_writable(folder, "--workdir")
    # What an earlier try died of must not stand for this one.
    (folder / "cell.json").unlink(missing_ok=True)
    try:
        measure = measure_of(grid)
        config = grid.config(cell)
        check_evaluable(config)
        train(config, folder)
        found = {measure.field: evaluation_of(config).evaluate_run(config, folder)}
    except NonFiniteLoss as error:
        return write_status(workdir, cell, "nan", message=str(error))
    except (Preempted, Interrupted, FolderTaken):
        raise
    except Exception as error:
        kind = AT_FAULT if isinstance(error, InputError) else type(error).__name__
        status = write_status(workdir, cell, "failed", message=f"{type(error).__name__}: {error}", error=kind)
        if isinstance(error, InputError):
            return status
        raise
    return write_status(workdir, cell, "done", **found, seconds=round(time.monotonic() - began, 1))


def command(workdir: pathlib.Path, cell: Cell) -> list[str]:
    """The command that runs one cell, for any scheduler."""
    return ["jmpose", "grid", f"--workdir={workdir}", f"--index={cell.index}"]


def run_local(workdir: pathlib.Path, cells: Sequence[Cell]) -> None:
    """Every cell in a process of its own, one after another: one that is killed takes no other with it.

    Raises:
      Preempted, Interrupted: SIGTERM or Ctrl-C came; it was handed on to the cell that ran, which saved its state.
    """
    for number, cell in enumerate(cells, 1):
        print(f"cell {number} of {len(cells)}: {describe(cell)} …", flush=True)
        run = [sys.executable, "-m", "experiments.cli", *command(workdir, cell)[1:]]
        ended, told = _process(run)
        log = cell_folder(workdir, cell) / LOG
        if ended.returncode and not told:
            write_text(log, ended.stderr)
        else:
            log.unlink(missing_ok=True)  # of an earlier try
        if ended.returncode and not told and read_status(workdir, cell)["status"] == "missing":
            said = ended.stderr.strip().splitlines()
            message = f"the process ended with status {ended.returncode}{': ' + said[-1] if said else ''}"
            error = AT_FAULT if ended.returncode == 2 else f"status {ended.returncode}"
            write_status(workdir, cell, "failed", message=message, error=error)
        if told:
            interrupted = told == signal.SIGINT
            how = "Ctrl-C" if interrupted else "SIGTERM"
            stop = Interrupted if interrupted else Preempted
            raise stop(f"stopped by {how} at cell {cell.index}; run the same command again to go on")
        status = read_status(workdir, cell)
        print(f"  {status['status']}{': ' + status['message'] if 'message' in status else ''}", flush=True)


def _process(command: list[str]) -> tuple[subprocess.CompletedProcess, int]:
    """Run a command to its end, and the signal that came meanwhile, or 0.

    It is handed on: no cell shall run unattended.
    """
    told = 0
    said: list[str] = []
    with StopNotice("the cell that runs is told to stop") as notice:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", bufsize=1
        )
        reader = threading.Thread(target=_pass_on, args=(process.stderr, said), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                if notice.reached() and not told:
                    told = signal.SIGINT if notice.interrupted else signal.SIGTERM
                    process.send_signal(told)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.2)
            reader.join(10)  # not for ever: a process that it left behind may hold the pipe
        except BaseException:
            process.kill()
            raise
        if notice.reached() and not told:
            told = signal.SIGINT if notice.interrupted else signal.SIGTERM
    return subprocess.CompletedProcess(command, process.returncode, "", "".join(said)), told


def _pass_on(stream: TextIO, said: list[str]) -> None:
    """Keep what a cell's process says, and show its progress; a traceback goes to the log alone."""
    shown = True
    for line in stream:
        said.append(line)
        shown = shown and not line.startswith("Traceback")
        if shown:
            print(f"  {line}", end="", file=sys.stderr, flush=True)


class GridJob:
    """One cell as a job of submitit; preempted or out of time it is queued again and goes on from its checkpoint.

    submitit hears its own signal (SIGUSR2) before the time is over. A plain SIGTERM, which Slurm sends as well when it
    takes nodes away, is heard by the training, which saves its state: then the job gives itself that signal.
    """

    def __init__(self, workdir: str, index: int):
        self.workdir, self.index = workdir, index

    def __call__(self) -> str:
        try:
            return run_cell(self.workdir, self.index)["status"]
        except (Preempted, Interrupted):
            signal.raise_signal(signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"])
            raise

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(GridJob(self.workdir, self.index))


def run_submitit(
    workdir: pathlib.Path, cells: Sequence[Cell], cluster: str, options: dict[str, Any], wait: bool
) -> list[Any]:
    """Every cell as a job of one Slurm array.

    Args:
      workdir: of the grid, on a file system that the nodes see.
      cells: to run.
      cluster: "slurm", or "local" for processes on this machine.
      options: of submitit, e.g. {"slurm_partition": "gpu", "timeout_min": 240}.
      wait: stay until all jobs have ended.

    Returns:
      submitit's jobs.

    Raises:
      InputError: submitit is not installed or there is no such cluster.
    """
    try:
        import submitit
    except ImportError:
        raise InputError("--engine=submitit needs submitit: pip install 'jmpose-jax[slurm]'") from None
    try:
        executor = submitit.AutoExecutor(folder=workdir / "submitit", cluster=cluster)
        executor.update_parameters(**options)
        with executor.batch():
            jobs = [executor.submit(GridJob(str(workdir.resolve()), cell.index)) for cell in cells]
    except (RuntimeError, NameError, ValueError, TypeError, submitit.core.utils.FailedSubmissionError) as error:
        raise InputError(f"--engine=submitit --cluster={cluster}: {error}") from None
    print(f"submitted {len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}", flush=True)
    if wait:
        for job, cell in zip(jobs, cells):
            job.wait()
            if job.exception() is not None and read_status(workdir, cell)["status"] == "missing":
                write_status(workdir, cell, "failed", message=str(job.exception()).strip().splitlines()[-1])
    return jobs


def describe(cell: Cell) -> str:
    """A cell in words."""
    return ", ".join(f"{axis.split('.')[-1]} {label}" for axis, label in cell.labels.items())

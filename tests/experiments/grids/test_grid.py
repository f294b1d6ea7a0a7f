"""Grids as data, their engines, reports, faults; a cell's id, and what a workdir refuses."""

import csv
import json
import math
import signal
import subprocess
import sys

import pytest

from configs import gamma_grid, jmpose_ablation
from experiments import grid
from experiments.grids import cells as grid_cells
from experiments.grids import engines
from experiments.grids import report as grid_report
from experiments.run.building import plain
from jmpose_jax.errors import InputError, Interrupted, Preempted
from tests.commands import run

BASE = {
    "seed": 0,
    "loss": {"alpha": 1.0, "weights": {"relevancy": 1.0, "complement": 1.0}},
    "model": {"name": "jmpose"},
}


def test_cells_are_the_product_and_ids_say_what_they_run():
    found = grid_cells.expand(BASE, {"loss.alpha": (0.0, 5.0), "loss.weights.relevancy": (0.1, 1)})
    assert [cell.index for cell in found.cells] == [0, 1, 2, 3]
    assert found.cells[1].overrides == {"loss.alpha": 0.0, "loss.weights.relevancy": 1}
    assert found.cells[2].labels == {"loss.alpha": "5", "loss.weights.relevancy": "0.1"}
    assert len({cell.id for cell in found.cells}) == 4
    config = found.config(found.cells[1])
    assert config.loss.alpha == 0.0 and config.loss.weights.relevancy == 1.0
    again = grid_cells.expand(BASE, {"loss.weights.relevancy": (1, 0.1), "loss.alpha": (5.0, 0.0)})
    assert {cell.id for cell in again.cells} == {cell.id for cell in found.cells}
    other = grid_cells.expand(BASE | {"seed": 1}, {"loss.alpha": (0.0, 5.0), "loss.weights.relevancy": (0.1, 1)})
    assert not {cell.id for cell in other.cells} & {cell.id for cell in found.cells}


def test_values_may_be_named_bundles():
    rows = ({"name": "full", "paper": 86.4}, {"name": "none", "loss.alpha": 0.0, "model.name": "image"})
    found = grid_cells.expand(BASE, {"method": rows, "seed": (0, 1)})
    assert found.axes == {"method": ["full", "none"], "seed": ["0", "1"]}
    assert found.cells[0].paper == 86.4 and found.cells[3].paper is None
    assert found.cells[3].overrides == {"loss.alpha": 0.0, "model.name": "image", "seed": 1}


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({}, "the grid is empty"),
        ({"paper": (1.0,)}, "the grid is empty"),
        ({"loss.alpha": ()}, "its axis 'loss.alpha' has no values"),
        ({"loss.alhpa": (1.0,)}, "'loss.alhpa', the config does not; did you mean 'loss.alpha'"),
        ({"loss": (1.0,)}, "the grid has the key 'loss'"),
        ({"loss.alpha": (1.0, 1.0)}, "has a value twice"),
        ({"loss.alpha": ("many",)}, "gives 'loss.alpha' the value 'many'"),
        ({"method": ({"loss.alpha": 1.0},)}, 'without a "name"'),
        ({"loss.alpha": 1.0}, "axis 'loss.alpha' is 1.0; give a list of values"),
        ({"model.name": "m"}, "axis 'model.name' is 'm'; give a list of values"),
        ({"m": ({"name": "a", "seed": 1},), "seed": (0, 1)}, "axes 'm' and 'seed' both set 'seed'"),
        (None, "the grid is empty"),
        (["loss.alpha"], "gives a list; it must give a dict"),
    ],
)
def test_grids_at_fault_are_refused_in_one_line(axes, message):
    with pytest.raises(InputError, match=message) as fault:
        grid_cells.expand(BASE, axes)
    assert "\n" not in str(fault.value)


def test_a_workdir_holds_one_grid(tmp_path):
    first = grid_cells.expand(BASE, {"loss.alpha": (0.0, 5.0)})
    grid_cells.claim(tmp_path, first)
    grid_cells.claim(tmp_path, first)
    assert grid_cells.load(tmp_path) == first
    with pytest.raises(InputError, match="holds another grid .its config.seed is 0, here 1"):
        grid_cells.claim(tmp_path, grid_cells.expand(BASE | {"seed": 1}, {"loss.alpha": (0.0, 5.0)}))
    with pytest.raises(InputError, match="holds another grid .its axes are"):
        grid_cells.claim(tmp_path, grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0)}))
    with pytest.raises(InputError, match="holds no grid"):
        grid_cells.load(tmp_path / "elsewhere")
    (tmp_path / "grid.json").write_text("[]")
    with pytest.raises(InputError, match="grid.json is damaged"):
        grid_cells.claim(tmp_path, first)


def _finish(workdir, found, values):
    """Cells that have ended with these APs; None turned NaN, a string failed, absent ones are still to run."""
    for cell, value in zip(found.cells, values):
        if value is None:
            engines.write_status(workdir, cell, "nan", message="the loss is not finite at step 7")
        elif isinstance(value, str):
            engines.write_status(workdir, cell, "failed", message=value)
        else:
            ap = dict.fromkeys(grid_report.COLUMNS, value)
            engines.write_status(workdir, cell, "done", ap=ap)


def test_the_report_has_the_layout_of_the_published_tables(tmp_path):
    axes = {"loss.weights.complement": (0.0, 1.0), "loss.weights.relevancy": (0.0, 1.0), "loss.alpha": (0.0, 0.1, 1.0)}
    found = grid_cells.expand(BASE, axes)
    grid_cells.claim(tmp_path, found)
    _finish(tmp_path, found, [50.0, 51.0, 52.0, 53.0, 54.5, None, "out of memory"])
    report = grid_report.write_report(tmp_path, found)
    assert report["counts"] == {"done": 5, "nan": 1, "failed": 1, "missing": 5}
    assert report["value"] == 54.5 and report["best"]["loss.alpha"] == "0.1"
    lines = (tmp_path / "grid.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| mAP: loss.weights.relevancy \\ loss.alpha | 0 | 0.1 | 1 |"
    assert table[2] == "| *loss.weights.complement = 0* | | | |"
    assert table[3] == "| 0 | 50.0 | 51.0 | 52.0 |"
    assert table[4] == "| 1 | 53.0 | **54.5** | NaN |"
    assert table[6] == "| 0 | failed | – | – |"
    assert any(line.endswith("failed, out of memory") for line in lines)
    with (tmp_path / "grid.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and rows[4]["ap/Total"] == "54.5" and rows[5]["status"] == "nan"
    assert (tmp_path / "grid.png").stat().st_size > 2000
    shown = (tmp_path / "grid.html").read_text()
    assert "<strong>54.5</strong>" in shown and "failed, out of memory" in shown and "data:image/png;base64," in shown


def test_rows_stand_beside_the_papers_and_seeds_are_averaged(tmp_path):
    rows = (
        {"name": "full", "paper": 86.4},
        {"name": "less", "paper": 85.0, "loss.alpha": 0.0},
        {"name": "odd", "paper": 80.0, "loss.alpha": 2.0},
    )
    found = grid_cells.expand(BASE, {"method": rows, "seed": (0, 1)})
    _finish(tmp_path, found, [60.0, 62.0, 58.0, 60.0, 63.0, 63.0])
    report = grid_report.write_report(tmp_path, found)
    assert report["best"] == {"method": "odd"} and report["value"] == 63.0
    table = [line for line in (tmp_path / "grid.md").read_text().splitlines() if line.startswith("|")]
    assert table[0].endswith("| Mean | Declines | paper | Declines | same side |")
    assert table[2].endswith("| 61.0 (60.0–62.0) | – | 86.4 | – | – |")
    assert table[3].endswith("| 59.0 (58.0–60.0) | 2.0 | 85.0 | 1.4 | yes |")
    assert table[4].endswith("| -2.0 | 80.0 | 6.4 | no |")


def test_pictures_have_room_for_labels_and_seeds_that_are_missing_are_told(tmp_path, recwarn):
    rows = ({"name": "a name that needs much of the width", "loss.alpha": 0.0}, {"name": "b", "loss.alpha": 2.0})
    found = grid_cells.expand(BASE, {"method": rows, "seed": (0, 1, 2)})
    _finish(tmp_path, found, [60.0, None, 62.0, None, "out of memory"])
    grid_report.write_report(tmp_path, found)
    text = (tmp_path / "grid.md").read_text()
    assert "**61.0 (60.0–62.0) [2 of 3]**" in text and "[n of m]" in text
    assert grid_report.without_result(found, grid_report.collect(tmp_path, found), ("b",)) == "NaN"
    assert not [w for w in recwarn if "constrained_layout" in str(w.message)]


def test_the_configs_grids_are_grids_of_their_configs():
    assert len(grid_cells.expand(plain(gamma_grid.get_config("terms")), gamma_grid.get_grid("terms")).cells) == 64
    alphas = grid_cells.expand(plain(gamma_grid.get_config()), gamma_grid.get_grid())
    assert [cell.labels["loss.alpha"] for cell in alphas.cells] == ["0", "0.1", "1", "5"]
    papers = jmpose_ablation.get_config("tiny_paper")
    assert papers.model.head.residual is False and papers.model.predictors.features == "standardized"
    ablation = grid_cells.expand(plain(jmpose_ablation.get_config()), jmpose_ablation.get_grid())
    assert len(ablation.cells) == 18 and len({cell.id for cell in ablation.cells}) == 18
    assert ablation.config(ablation.cells[6]).model.context_aware_joint_learner.kind == "projection"


@pytest.fixture
def two_cells(small_backbone, tmp_path):
    """A claimed workdir with a grid over the weight of the heatmap loss, the second of which is bound to turn NaN."""
    small_backbone.train.steps = 2
    small_backbone.train.save_every = 1
    return grid.plan(small_backbone, {"loss.weights.heatmap": (100.0, 1e39)}, tmp_path), tmp_path


def test_cells_train_evaluate_turn_nan_and_are_not_repeated(two_cells):
    found, workdir = two_cells
    done = engines.run_cell(workdir, 0)
    assert done["status"] == "done" and math.isfinite(done["ap"]["Total"])
    folder = engines.cell_folder(workdir, found.cells[0])
    assert (folder / "checkpoints" / "2").is_dir() and (folder / "evaluation.json").exists()
    before = (folder / "metrics.jsonl").stat().st_mtime_ns
    assert engines.run_cell(workdir, 0) == done
    assert (folder / "metrics.jsonl").stat().st_mtime_ns == before
    assert engines.run_cell(workdir, 1)["status"] == "nan"
    assert engines.pending(workdir, found) == []
    with pytest.raises(InputError, match="--index=7: the grid has the cells 0 to 1"):
        engines.run_cell(workdir, 7)


def test_a_dead_cell_stops_no_other(monkeypatch, tmp_path, capsys):
    found = grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0, 5.0)})
    grid_cells.claim(tmp_path, found)
    commands = []

    def process(command):
        commands.append(command)
        index = int(command[-1].split("=")[1])
        if index == 0:
            return subprocess.CompletedProcess(command, -9, "", ""), False
        if index == 1:
            return subprocess.CompletedProcess(command, 1, "", "Traceback\nMemoryError: too much"), False
        _finish(tmp_path, _only(found, 2), [55.0])
        return subprocess.CompletedProcess(command, 0, "", ""), False

    monkeypatch.setattr(engines, "_process", process)
    report = grid.run_grid(found, tmp_path)
    assert report["counts"] == {"failed": 2, "done": 1} and report["value"] == 55.0
    assert engines.read_status(tmp_path, found.cells[0])["message"] == "the process ended with status -9"
    assert "MemoryError: too much" in engines.read_status(tmp_path, found.cells[1])["message"]
    assert [command[3:] for command in commands][2] == ["grid", f"--workdir={tmp_path}", "--index=2"]
    # Failed cells are tried again, finished ones are not.
    assert [cell.index for cell in engines.pending(tmp_path, found)] == [0, 1]


def _only(found, index):
    return grid_cells.Grid(found.base, found.axes, [found.cells[index]])


@pytest.mark.parametrize("sent, stop", [("SIGTERM", Preempted), ("SIGINT", Interrupted)])
def test_cells_that_are_killed_or_stopped(monkeypatch, tmp_path, sent, stop):
    """Real processes: kill -9 takes the cell alone; a signal to the grid reaches the cell, which is told to go on."""
    found = grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0, 5.0)})
    grid_cells.claim(tmp_path, found)
    cell = (
        "import os, signal, sys, time\n"
        "if sys.argv[1] == '0': os.kill(os.getpid(), 9)\n"
        f"signal.signal(signal.{sent}, lambda *_: sys.exit(75))\n"
        f"os.kill(os.getppid(), signal.{sent})\n"
        "time.sleep(30)\n"
    )
    started = []

    def process(command):
        started.append(command[-1])
        return grid_run_process([sys.executable, "-c", cell, command[-1].split("=")[1]])

    grid_run_process = engines._process
    monkeypatch.setattr(engines, "_process", process)
    with pytest.raises(stop, match="at cell 1; run the same command again"):
        grid.run_grid(found, tmp_path)
    assert started == ["--index=0", "--index=1"]  # the third waits for the next start
    statuses = [engines.read_status(tmp_path, c) for c in found.cells]
    assert [s["status"] for s in statuses] == ["failed", "missing", "missing"]
    assert statuses[0]["message"] == "the process ended with status -9"


def test_a_job_that_sigterm_stops_is_queued_again(monkeypatch, tmp_path):
    def stopped(workdir, index):
        raise Preempted("stopped by SIGTERM")

    heard = []
    monkeypatch.setattr(engines, "run_cell", stopped)
    previous = signal.signal(signal.SIGUSR2, lambda number, _: heard.append(number))  # as submitit does
    try:
        with pytest.raises(Preempted):
            engines.GridJob(str(tmp_path), 0)()
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert heard == [signal.SIGUSR2]


def test_print_writes_the_commands_of_what_is_left(tmp_path, capsys):
    found = grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0)})
    grid_cells.claim(tmp_path, found)
    _finish(tmp_path, found, [50.0])
    grid.run_grid(found, tmp_path, engine="print")
    assert capsys.readouterr().out == f"jmpose grid --workdir={tmp_path} --index=1\n"


def test_submitits_local_executor_runs_the_cells(tmp_path):
    pytest.importorskip("submitit", reason="submitit is in the extra `slurm`")
    # A data set that does not exist: what is tested is the way there and back, and that the other job still runs.
    config = gamma_grid.get_config()
    config.dataset.root = str(tmp_path / "nowhere")
    found = grid.plan(config, {"loss.alpha": (0.0, 1.0)}, tmp_path / "grid")
    jobs = engines.run_submitit(tmp_path / "grid", found.cells, "local", {"timeout_min": 5}, wait=True)
    assert [job.result() for job in jobs] == ["failed", "failed"]
    assert "nowhere does not exist" in engines.read_status(tmp_path / "grid", found.cells[1])["message"]
    again = engines.GridJob("w", 3).checkpoint()
    assert (again.function.workdir, again.function.index) == ("w", 3)


def test_the_command(tmp_path):
    """The whole command on a grid at fault, on an empty one, and with printed commands."""
    file = tmp_path / "faulty.py"
    file.write_text("from configs.gamma_grid import get_config\ndef get_grid():\n    return {'loss.alhpa': (1.0,)}\n")

    def call(*arguments):
        ended = run("grid", f"--workdir={tmp_path / 'w'}", *arguments)
        return ended.status, ended.out, ended.err

    status, _, err = call(f"--config={file}")
    assert status == 2 and err.count("\n") == 1 and "did you mean 'loss.alpha'" in err
    status, out, err = call("--config=configs/gamma_grid.py:alpha", "--engine=print")
    assert status == 0 and out.count("--index=") == 4, err
    status, _, err = call("--config=configs/gamma_grid.py:terms")
    assert status == 2 and err.count("\n") == 1 and "holds another grid" in err
    assert json.loads((tmp_path / "w" / "grid.json").read_text())["axes"] == {"loss.alpha": ["0", "0.1", "1", "5"]}

"""`jmpose grid` at fault: one line and a status for every kind, and cells that failed are told of at the end."""

import json
import os
import subprocess
import sys

import pytest

from experiments import grid
from experiments.grids import cells as grid_cells
from experiments.grids import engines
from jmpose_jax.errors import CellsFailed, InputError, NonFiniteLoss

BASE = {"seed": 0, "loss": {"alpha": 1.0}, "model": {"name": "jmpose"}}

# Every command line is run in a child of one process that has loaded the program; cells fail as the file says.
FORKED = """
import json, os, pathlib, sys
from configs import gamma_grid
from experiments import grid
from experiments.grids import report as grid_report
from experiments.grids import engines
def process(command):
    import pathlib, subprocess
    workdir, index = command[-2].split("=", 1)[1], int(command[-1].split("=")[1])
    cell = grid.grid_cells.load(pathlib.Path(workdir)).cells[index]
    status, more = OUTCOMES[index]
    engines.write_status(pathlib.Path(workdir), cell, status, **more)
    return subprocess.CompletedProcess(command, 0 if status == "done" else 2, "", "said by the cell"), False
engines._process = process
grid.check_evaluable = lambda config: None
# What a report imports is imported here, once.
os.mkdir(os.path.join(sys.argv[1], "first"))
BASE = {"seed": 0, "loss": {"alpha": 1.0}, "model": {"name": "jmpose"}}
grid_report.write_report(pathlib.Path(sys.argv[1], "first"), grid.grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0)}))
for line in sys.stdin:
    argv, OUTCOMES = json.loads(line)
    out, err = os.path.join(sys.argv[1], "out"), os.path.join(sys.argv[1], "err")
    pid = os.fork()
    if not pid:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        try:
            grid.main(["grid", *argv])
        except SystemExit as end:
            os._exit(end.code or 0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([status, open(out).read(), open(err).read()]), flush=True)
"""


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Function of flags and outcomes of cells: status, standard output, standard error of `jmpose grid`."""
    folder = tmp_path_factory.mktemp("forked")
    server = subprocess.Popen(
        [sys.executable, "-c", FORKED, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )

    def ask(*argv, outcomes=()):
        server.stdin.write(json.dumps([list(map(str, argv)), list(outcomes)]) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    yield ask
    server.stdin.close()
    server.wait()


@pytest.fixture
def config(tmp_path):
    """Function of the text of get_grid() that writes a config file with it."""

    def write(body, name="grid_of_a_test.py"):
        (tmp_path / name).write_text(f"from configs.gamma_grid import get_config\n\n\n{body}\n")
        return tmp_path / name

    return write


TWO = "def get_grid():\n    return {'loss.alpha': (0.0, 1.0)}"
DONE = ("done", {"ap": {"Total": 50.0}})
LATER = ("done", {"ap": {"Total": 60.0}})
INPUT = ("failed", {"message": "InputError: the culprit", "error": "InputError"})
CRASH = ("failed", {"message": "ValueError: the culprit", "error": "ValueError"})
NAN = ("nan", {"message": "the loss is not finite at step 7"})


@pytest.mark.parametrize(
    ("outcomes", "status", "said"),
    [
        ((DONE, LATER), 0, ""),
        ((DONE, INPUT), 2, "1 of 2 cells failed"),
        ((INPUT, INPUT), 2, "2 of 2 cells failed"),
        ((DONE, CRASH), 1, "1 of 2 cells failed"),
        ((INPUT, CRASH), 1, "2 of 2 cells failed"),
        ((NAN, INPUT), 2, "1 of 2 cells turned NaN"),
        ((DONE, NAN), 0, "1 of 2 cells turned NaN"),
        ((NAN, NAN), 65, "2 of 2 cells turned NaN"),
    ],
)
def test_the_end_tells_of_cells_without_a_result(call, config, tmp_path, outcomes, status, said):
    workdir = tmp_path / "w"
    found, out, err = call(f"--config={config(TWO)}", f"--workdir={workdir}", outcomes=outcomes)
    assert found == status and said in err and err.count("\n") == bool(said), err
    if "failed" in said:
        assert "the culprit" in err and "grid.md" in err and "cells" in err
    text = (workdir / "grid.md").read_text()
    assert ("the culprit" in text) == ("culprit" in err) and f"wrote {workdir / 'grid.csv'}" in out
    assert (workdir / "grid.png").stat().st_size > 1000
    assert ("best: loss.alpha = 1" in out) == (outcomes == (DONE, LATER))


def test_failed_cells_are_tried_again_and_ties_are_told(call, config, tmp_path):
    flags = f"--config={config(TWO)}", f"--workdir={tmp_path / 'w'}"
    assert call(*flags, outcomes=(DONE, CRASH))[0] == 1
    status, out, err = call(*flags, outcomes=(CRASH, ("done", {"ap": {"Total": 50.001}})))
    assert (status, err) == (0, "") and "no difference" in out and "best:" not in out
    assert "**" not in (tmp_path / "w" / "grid.md").read_text()


@pytest.mark.parametrize(
    ("body", "culprit"),
    [
        ("def get_grid():\n    raise KeyError('no such thing')", "no such thing"),
        ("def get_grid():\n    return 1 / 0", "get_grid()"),
        ("def get_grid(a, b):\n    return {}", "get_grid()"),
        ("def get_grid():\n    return {'loss.alpha': (float('nan'), 1.0)}", "loss.alpha"),
        ("def get_grid():\n    return {3: (0.0, 1.0)}", "3"),
        ("def get_grid():\n    return {'a': ({'name': 'x', 'paper': 'much', 'loss.alpha': 1.0},)}", "paper"),
        ("def get_grid():\n    return {'a': ({'name': 'x', 5: 1.0},)}", "5"),
        ("def get_grid():\n    return {'model.name': ('raft', 'jmpose')}", "raft by endpoint error"),
        ("GRID = {}", "get_grid()"),
    ],
)
def test_a_get_grid_at_fault_is_one_line(call, config, tmp_path, body, culprit):
    status, out, err = call(f"--config={config(body)}", f"--workdir={tmp_path / 'w'}")
    assert status == 2 and err.count("\n") == 1 and culprit in err and not out, err
    assert not (tmp_path / "w").exists()


FOREIGN = [
    "[]", "{", '"text"', "{}", '{"config": {}, "axes": {}, "cells": []}', b"\xff\xfe", "null",
    '{"config": {}, "axes": {"a": ["1"]}, "cells": [{"id": "../../x", "index": 0, "labels": {"a": "1"}}]}',
    '{"config": {}, "axes": {"a": ["1"]}, "cells": [5]}', '{"config": [], "axes": [], "cells": {}}', None,
]  # fmt: skip
BY_INDEX_OR_ALONE = [("{", "--index"), ("null", "--index"), ("[]", None), (None, None)]


@pytest.mark.parametrize(("content", "flag"), [*((content, "--config") for content in FOREIGN), *BY_INDEX_OR_ALONE])
def test_a_foreign_grid_json_is_one_line(call, config, tmp_path, content, flag):
    (tmp_path / "w").mkdir()
    path = tmp_path / "w" / "grid.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    more = {"--config": [f"--config={config(TWO)}"], "--index": ["--index=0"], None: []}[flag]
    status, _, err = call(f"--workdir={tmp_path / 'w'}", *more)
    assert status == 2 and err.count("\n") == 1 and str(path) in err, err


@pytest.mark.parametrize("content", ["[]", "{", '{"status": 3}', '{"status": "well"}', '{"status": "done", "ap": [1]}',
                                     '{"status": "done", "ap": {"Total": "high"}}'])  # fmt: skip
def test_a_foreign_cell_json_is_one_line(call, config, tmp_path, content):
    flags = f"--config={config(TWO)}", f"--workdir={tmp_path / 'w'}"
    assert call(*flags, outcomes=(DONE, DONE))[0] == 0
    path = next((tmp_path / "w" / "cells").glob("*/cell.json"))
    path.write_text(content)
    status, _, err = call(*flags)
    assert status == 2 and err.count("\n") == 1 and str(path) in err, err


def test_a_workdir_that_cannot_be_used_is_one_line(call, config, tmp_path):
    (tmp_path / "file").write_text("")
    for workdir in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none", ""):
        status, _, err = call(f"--config={config(TWO)}", f"--workdir={workdir}")
        assert status == 2 and err.count("\n") == 1 and "--workdir" in err, err
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "cells").write_text("")
    status, _, err = call(f"--config={config(TWO)}", f"--workdir={tmp_path / 'w'}")
    assert status == 2 and err.count("\n") == 1 and "cells" in err, err
    for flags in (["--index=0"], []):
        status, _, err = call(f"--workdir={tmp_path / 'nowhere'}", *flags)
        assert status == 2 and err.count("\n") == 1 and "grid.json" in err, err
        assert not (tmp_path / "nowhere").exists()


def test_a_grid_that_cannot_be_evaluated_leaves_nothing_behind(tmp_path):
    """The next try, with the data set in its place, must not be told that the folder holds another grid."""
    config = tmp_path / "poses.py"
    config.write_text("from configs.gamma_grid import get_config, get_grid\n")
    command = [sys.executable, "-m", "experiments.cli", "grid", f"--config={config}", f"--workdir={tmp_path / 'w'}"]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "dataset.root" in ended.stderr
    assert not (tmp_path / "w").exists()


def test_library_callers_hear_the_same(tmp_path):
    found = grid_cells.expand(BASE, {"loss.alpha": (0.0, 1.0)})
    grid_cells.claim(tmp_path, found)
    grid.judge_cells(tmp_path, found)
    for outcome, fault in ((INPUT, InputError), (CRASH, CellsFailed), (NAN, NonFiniteLoss)):
        for cell in found.cells:
            engines.write_status(tmp_path, cell, outcome[0], **outcome[1])
        with pytest.raises(fault, match="2 of 2 cells"):
            grid.judge_cells(tmp_path, found)
    assert CellsFailed.STATUS == 1


def test_what_a_cells_process_says_is_passed_on_but_for_tracebacks(tmp_path, capfd):
    said = "import sys; print('10/20', file=sys.stderr); raise ValueError('odd')"
    ended, told = engines._process([sys.executable, "-c", said])
    assert ended.returncode == 1 and not told and ended.stderr.splitlines()[-1] == "ValueError: odd"
    assert capfd.readouterr().err == "  10/20\n"

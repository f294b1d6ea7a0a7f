"""A training's folder: one process at a time, and nothing in it that the training would fail on later."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from experiments.run.workdir import check_workdir
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.train.writers import UNREADABLE, read_metrics
from tests.commands import run

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
OWNER = """
import sys, time
from jmpose_jax.locks import locked
with locked(sys.argv[1]):
    print("mine", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that works in `tmp_path / "run"`."""
    command = [sys.executable, "-c", OWNER, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    assert process.stdout.readline() == b"mine\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_training_is_refused_until_the_first_is_dead(owner, small_backbone, tmp_path):
    small_backbone.train.steps = 2
    with pytest.raises(InputError, match=rf"--workdir={tmp_path / 'run'}: process {owner.pid} on"):
        train(small_backbone, tmp_path / "run", quiet=True)
    assert os.listdir(tmp_path / "run") == [".lock"]
    owner.kill()
    owner.wait()
    assert int(train(small_backbone, tmp_path / "run", quiet=True).step) == 2
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.mark.parametrize("command", [["grid"], ["quickstart", "--scale=smoke"]])
def test_grid_and_quickstart_take_the_folder_too(owner, tmp_path, command):
    grid = [f"--config={REPOSITORY / 'configs' / 'gamma_grid.py'}:alpha"] if command == ["grid"] else []
    ended = run(*command, f"--workdir={tmp_path / 'run'}", *grid)
    assert ended.status == 2, ended.err
    assert ended.err.count("\n") == 1 and f"process {owner.pid} on" in ended.err


def test_input_at_fault_leaves_no_folder_behind(small_backbone, tmp_path):
    small_backbone.dataset.root = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere"):
        train(small_backbone, tmp_path / "runs" / "first", quiet=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["run", "run/checkpoints", "run/tensorboard"])
def test_a_file_in_the_place_of_a_folder(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("")
    with pytest.raises(InputError, match=f"{place} is no folder"):
        check_workdir(tmp_path / "run")


@pytest.mark.parametrize("name", ["config.json", "dataset.json", "metrics.jsonl", "checkpoints.json"])
def test_a_folder_in_the_place_of_a_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name} is a folder"):
        check_workdir(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written to"):
        check_workdir(tmp_path)


def test_a_folder_of_runs_gets_no_training(small_backbone, tmp_path):
    (tmp_path / "jmpose").mkdir()
    (tmp_path / "jmpose" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="it holds the runs .*jmpose: give one of them"):
        train(small_backbone, tmp_path, quiet=True)
    assert os.listdir(tmp_path) == ["jmpose"]


def test_what_a_run_did_not_leave_does_not_stop_it(small_backbone, tmp_path, capsys):
    small_backbone.train.steps = 3
    train(small_backbone, tmp_path / "run", quiet=True)
    whole = read_metrics(tmp_path / "run")
    for name in ("abc", "007", "12"):
        (tmp_path / "run" / "checkpoints" / name).mkdir()
    (tmp_path / "run" / "checkpoints" / "note.txt").write_text("x")
    (tmp_path / "run" / "checkpoints.json").write_bytes(b"\xff\xfe[1")
    (tmp_path / "run" / "config.json").write_bytes(b"[\xff")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_bytes(b'[1, 2]\n\xff\xfe\n{"step": "x"}\n' + metrics.read_bytes())
    small_backbone.train.steps = 4
    assert int(train(small_backbone, tmp_path / "run", quiet=True).step) == 4
    assert read_metrics(tmp_path / "run")[:3] == whole
    assert (tmp_path / "run" / UNREADABLE).read_bytes() == b'[1, 2]\n\xff\xfe\n{"step": "x"}\n'
    assert "3 of 6 lines are no metrics" in capsys.readouterr().err


@pytest.mark.parametrize("inside", ["", "cells"])
def test_a_folder_that_holds_runs_is_no_run(tmp_path, inside):
    run = tmp_path / inside / "jmpose"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    with pytest.raises(InputError, match=f"--workdir={tmp_path} is no run; it holds the runs {run}"):
        check_workdir(tmp_path)
    check_workdir(run)
    (tmp_path / "checkpoints").mkdir()  # a run with others in it
    check_workdir(tmp_path)


def test_a_file_among_the_checkpoints(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "12").write_text("")
    with pytest.raises(InputError, match="12 is no folder"):
        check_workdir(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    check_workdir(tmp_path)

"""Checkpoints that cannot be read: one line, and a signal that came meanwhile wins."""

import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from jmpose_jax import stopping
from jmpose_jax.errors import InputError
from jmpose_jax.train import checkpoints, reading
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.state import TrainState


@pytest.fixture
def cut(tmp_path):
    """A checkpoint of many arrays whose files are cut."""
    params = {f"layer{n}": {"kernel": np.full((8, 8), n, np.float32)} for n in range(150)}
    checkpoints.save_variables(tmp_path / "run", {"params": params, "batch_stats": {}}, {"model": {"name": "image"}})
    for path in (tmp_path / "run" / "checkpoints" / "0" / "variables").rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return tmp_path / "run"


def test_a_cut_checkpoint_ends_a_command_with_one_line_alone(cut, tmp_path):
    command = [sys.executable, "-m", "experiments.cli", "convert", "--reverse", "--model=hrnet_w4"]
    command += [f"--checkpoint={cut}", f"--output={tmp_path / 'out.pth'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert lines[0].startswith("jmpose convert: ") and str(cut) in lines[0] and "cannot be read" in lines[0]
    assert not (tmp_path / "out.pth").exists()


@pytest.fixture
def interrupted():
    stopping._received = signal.SIGINT
    yield
    stopping.forget()


def test_a_signal_wins_over_what_the_reading_says(cut, interrupted):
    with pytest.raises(stopping.StopRequested):
        trained_models.load_variables(cut)


def test_a_signal_moves_no_checkpoint(tmp_path, monkeypatch, interrupted):
    state = TrainState(jnp.int32(3), {"a": jnp.zeros(3)}, {}, {"moment": jnp.zeros(3)})
    with checkpoints.checkpointer(tmp_path) as manager:
        checkpoints.save(manager, state, {"position": 3}, {"model": {}, "a": 1})

    def broken_off(*arguments):
        raise ValueError("the loop was stopped")

    with checkpoints.checkpointer(tmp_path) as manager:
        monkeypatch.setattr(checkpoints, "restore", broken_off)
        with pytest.raises(stopping.StopRequested):
            checkpoints.restore_newest(manager, state, state)
        stopping.forget()
        assert (tmp_path / "checkpoints" / "3").is_dir() and not (tmp_path / checkpoints.DAMAGED).exists()
        with pytest.raises(InputError, match="none of the checkpoints"):
            checkpoints.restore_newest(manager, state, state)


def test_the_fault_at_the_bottom_is_told():
    try:
        try:
            raise ValueError("the\n bottom [tensorstore_spec=...]")
        except ValueError as error:
            raise KeyError("no handler") from error
    except KeyError as error:
        assert reading.fault_of(error) == "the bottom"
    assert reading.fault_of(TypeError()) == "TypeError"


def test_folders_whose_names_are_not_ascii_digits_are_no_steps(tmp_path):
    checkpoints.save_variables(tmp_path, {"params": {"a": np.ones(2)}, "batch_stats": {}}, {"model": {}})
    for name in ("²", "٣", "1a"):
        (tmp_path / "checkpoints" / name / "variables").mkdir(parents=True)
    assert trained_models.find_checkpoint(tmp_path).name == "0"


@pytest.mark.parametrize("config", [{}, {"model": "image"}, {"model": {"width": 4}}])
def test_a_config_without_a_model_is_refused(tmp_path, config):
    with ocp.training.Checkpointer(tmp_path / "checkpoints") as manager:
        variables = {"params": {"a": np.ones(2)}}
        manager.save_checkpointables(0, {"variables": variables}, custom_metadata={"config": config})
    with pytest.raises(InputError, match="names no model"):
        trained_models.load_model(tmp_path)

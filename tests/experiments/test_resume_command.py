"""`jmpose train` goes on with the config that lies in the workdir."""

import pytest

from experiments.train import train
from jmpose_jax.train import trained as trained_models
from tests.commands import run


@pytest.fixture
def command():
    """Run the command in this process: its status and what it printed."""

    def call(*arguments):
        ended = run("train", *arguments)
        return ended.status, ended.out, ended.err

    return call


def test_a_run_goes_on_without_a_config(small_backbone, command, tmp_path):
    train(small_backbone, tmp_path, quiet=True)
    before = (tmp_path / "config.json").read_text()
    status, out, _ = command(f"--workdir={tmp_path}")
    assert status == 0 and f"{tmp_path}: already at step 6 of 6; more with --config.train.steps=N\n" == out
    assert (tmp_path / "config.json").read_text() == before
    status, out, err = command(f"--workdir={tmp_path}", "--config.train.steps=8", "--allow_config_change")
    assert (
        status == 0
        and out == f"trained: {tmp_path}\n"
        and "8 of 8, 2 of them now" in err
        and trained_models.find_checkpoint(tmp_path).name == "8"
    )
    status, _, err = command(f"--workdir={tmp_path}", "--config.optimizer.learning_rate=1")
    assert status == 2 and "config.optimizer.learning_rate: 0.003 -> 1.0" in err
    status, out, _ = command(f"--workdir={tmp_path}", "--summary")
    assert status == 0 and "total: " in out


def test_a_workdir_that_holds_nothing(command, tmp_path):
    status, _, err = command(f"--workdir={tmp_path / 'none'}")
    assert status == 2 and err.count("\n") == 1 and f"--workdir={tmp_path / 'none'}" in err and "--config" in err
    assert not (tmp_path / "none").exists()

"""`jmpose train` goes on with the config that lies in the workdir."""

import pytest

from jmpose_jax.train import trained as trained_models
from tests.commands import run


@pytest.fixture
def command():
    """Run the command in this process: its status and what it printed."""

    def call(*arguments):
        ended = run("train", *arguments)
        return ended.status, ended.out, ended.err

    return call


def test_a_run_goes_on_without_a_config(trained, command):
    before = (trained / "config.json").read_text()
    status, out, _ = command(f"--workdir={trained}")
    assert status == 0 and f"{trained}: already at step 6 of 6; more with --config.train.steps=N\n" == out
    assert (trained / "config.json").read_text() == before
    status, out, err = command(f"--workdir={trained}", "--config.train.steps=8", "--allow_config_change")
    assert (
        status == 0
        and out == f"trained: {trained}\n"
        and "8 of 8, 2 of them now" in err
        and trained_models.find_checkpoint(trained).name == "8"
    )
    status, _, err = command(f"--workdir={trained}", "--config.optimizer.learning_rate=1")
    assert status == 2 and "config.optimizer.learning_rate: 0.003 -> 1.0" in err
    status, out, _ = command(f"--workdir={trained}", "--summary")
    assert status == 0 and "total: " in out


def test_a_workdir_that_holds_nothing(command, tmp_path):
    status, _, err = command(f"--workdir={tmp_path / 'none'}")
    assert status == 2 and err.count("\n") == 1 and f"--workdir={tmp_path / 'none'}" in err and "--config" in err
    assert not (tmp_path / "none").exists()

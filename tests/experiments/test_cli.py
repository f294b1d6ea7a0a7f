"""The command line: dispatch, help, exit statuses, one line for a fault."""

import errno
import os
import pathlib
import re
import subprocess
import sys
import types

import pytest
from absl import flags

import jmpose_jax
from experiments import cli
from experiments.command import launch
from experiments.configuration.flag import define_config
from jmpose_jax.errors import (
    CellsFailed,
    HostLost,
    HostsDiffer,
    InputError,
    InputStalled,
    Interrupted,
    NonFiniteLoss,
    NoSpace,
    Preempted,
    RunStopped,
    Terminated,
)
from tests.commands import run


@pytest.mark.parametrize("arguments", [(), ("--help",), ("help",)])
def test_usage(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jmpose", *arguments])
    with pytest.raises(SystemExit) as status:
        cli.main()
    assert status.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in cli.COMMANDS)


def test_unknown_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jmpose", "fly"])
    with pytest.raises(SystemExit) as status:
        cli.main()
    assert status.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_nearest_command_is_suggested(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jmpose", "evalute"])
    with pytest.raises(SystemExit) as status:
        cli.main()
    printed = capsys.readouterr().err
    assert status.value.code == 2 and printed.count("\n") == 1 and "did you mean 'evaluate'?" in printed


def test_one_version_for_package_and_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jmpose", "--version"])
    with pytest.raises(SystemExit) as status:
        cli.main()
    assert status.value.code == 0 and capsys.readouterr().out == f"jmpose {jmpose_jax.__version__}\n"
    metadata = (pathlib.Path(__file__).resolve().parents[2] / "setup.cfg").read_text()
    assert "version = attr: jmpose_jax.__version__" in metadata


def test_dispatch_passes_the_flags_on(monkeypatch):
    received = []
    module = types.SimpleNamespace(main=received.append)
    monkeypatch.setitem(sys.modules, "experiments.doctor", module)
    monkeypatch.setattr(sys, "argv", ["jmpose", "doctor", "--x=1"])
    cli.main()
    assert received == [["jmpose doctor", "--x=1"]]


@pytest.fixture
def call(capsys):
    """Run a small command with flags, a config among them: its status and what it printed."""
    names = ("config", "size", "quick", "part")

    def command(*arguments, work=lambda: None):
        define_config("The config.")
        flags.DEFINE_integer("size", 3, "How many.", lower_bound=1, module_name="experiments.example")
        flags.DEFINE_multi_string("part", [], "Which.", module_name="experiments.example")
        flags.DEFINE_bool("quick", None, "In haste.", module_name="experiments.example")

        def run():
            work()

        try:
            launch.launch(run, ["jmpose example", *arguments])
            status = 0
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    yield command
    for name in list(flags.FLAGS):
        if name in names or name.startswith("config."):
            delattr(flags.FLAGS, name)


def test_help_lists_the_commands_flags_and_no_others(call):
    status, out, err = call("--help")
    assert status == 0 and err == ""
    assert out.startswith("usage: jmpose example [flags]")
    for line in ("  --size", "      How many. (default: 3)", "  --[no]quick", "      In haste."):
        assert line in out.splitlines()
    assert "logtostderr" not in out


def test_flags_are_read(call):
    read = []
    status, _, err = call("--size=5", "--quick", work=lambda: read.append((flags.FLAGS.size, flags.FLAGS.quick)))
    assert status == 0 and err == "" and read == [(5, True)]


@pytest.mark.parametrize(
    "arguments, flag",
    [
        (("--size=5", "--size=6"), "--size is given 2 times"),
        (("--size", "5", "-size=5"), "--size is given 2 times"),
        (("--quick", "--noquick"), "--quick is given 2 times"),
        (
            ("--config=configs/backbone.py", "--config.train.steps=3", "--config.train.steps=4"),
            "--config.train.steps is given 2 times",
        ),
        (("--config=configs/backbone.py", "--config=configs/jmpose.py"), "--config is given 2 times"),
    ],
)
def test_a_second_value_of_a_flag_is_not_dropped_in_silence(call, arguments, flag):
    status, out, err = call(*arguments)
    assert status == 2 and out == "" and err.count("\n") == 1 and flag in err


def test_flags_of_several_values_may_be_given_again(call):
    read = []
    status, _, err = call("--part=a", "--part=b", work=lambda: read.append(flags.FLAGS.part))
    assert status == 0 and err == "" and read == [["a", "b"]]


def test_all_missing_flags_are_named_at_once():
    ended = run("train")
    assert ended.status == 2 and ended.err.count("\n") == 1
    assert "--config and --workdir are missing" in ended.err


def test_a_file_that_cannot_be_used_is_no_riddle(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = call(work=lambda: (tmp_path / "file" / "inner").write_text(""))
    assert status == 2 and err.count("\n") == 1 and str(tmp_path / "file" / "inner") in err


def faulty():
    raise InputError("file x:\nis at fault")


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("--nonsense=1",), "nonsense"),
        (("stray",), "unexpected argument 'stray'"),
        (("--size=0",), "--size=0"),
        (("--size=many",), "--size=many"),
        (("--config=none.py",), "none.py"),
        (("--config=configs/backbone.py:giant",), "no variant 'giant'"),
        (("--config=configs/backbone.py", "--config.train.step=3"), "did you mean 'train.steps'?"),
        (("--config=configs/backbone.py", "--config.colour=3"), "--config.colour"),
        (("--config=configs/backbone.py", "--config.train.steps=many"), "--config.train.steps"),
        ((), "file x: is at fault"),
    ],
)
def test_faults_take_one_line_and_status_2(call, arguments, message):
    status, out, err = call(*arguments, work=faulty)
    assert status == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("jmpose example: ") and message in err


def test_other_faults_keep_their_traceback(call):
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(work=broken)


def test_interruption(call):
    def interrupted():
        raise KeyboardInterrupt

    status, _, err = call(work=interrupted)
    assert status == 130 and err.count("\n") == 1


STATUSES = {
    CellsFailed: 1,
    NonFiniteLoss: 65,
    HostLost: 69,
    NoSpace: 73,
    InputStalled: 74,
    Preempted: 75,
    HostsDiffer: 76,
    Interrupted: 130,
    Terminated: 143,
}


@pytest.mark.parametrize("fault, expected", STATUSES.items())
def test_a_run_that_stops_takes_one_line_and_the_status_of_its_kind(call, monkeypatch, fault, expected):
    monkeypatch.setattr(os, "_exit", sys.exit)  # what must not wait for other processes ends at once

    def stopped():
        raise fault("at step 3:\nwhatever it was")

    status, out, err = call(work=stopped)
    assert status == expected and out == "" and err == "jmpose example: at step 3: whatever it was\n"


def test_every_kind_of_stop_has_a_status_that_the_docs_name():
    assert set(STATUSES) == set(RunStopped.__subclasses__())
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "clusters.md").read_text()
    table = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert {0, 1, 2, *STATUSES.values()} == {int(status) for status in table}


def test_a_full_disk_wherever_it_is_met(call):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device", "metrics.jsonl")

    status, _, err = call(work=full)
    assert status == 73 and err.count("\n") == 1 and "metrics.jsonl" in err


def test_an_input_that_stalls_does_not_hold_the_process_by_its_threads():
    """Threads that read from a storage that does not answer never end, and Python waits for them when it exits."""
    script = """
import threading
from experiments.command.launch import launch
from jmpose_jax.errors import InputStalled

def run():
    threading.Thread(target=threading.Event().wait).start()
    raise InputStalled("the input gave no batch")

launch(run, ["jmpose train"])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 74 and run.stderr == "jmpose train: the input gave no batch\n"


@pytest.mark.parametrize("command,flag", [("predict", "--video"), ("train", "--workdir")])
def test_help_of_real_commands(command, flag):
    run = subprocess.run(
        [sys.executable, "-m", "experiments.cli", command, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert run.returncode == 0 and run.stdout.startswith(f"usage: jmpose {command}") and f"  {flag}" in run.stdout

"""Ctrl-C and SIGTERM at any moment of a command's life: soon over, one line, the documented status, nothing lost.

`python -m benchmarks.signals --lives 100` does it to a whole training.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from benchmarks import signals, small_run

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(REPOSITORY)}
pytestmark = pytest.mark.faults


def tiny(workdir):
    settings = {"workdir": str(workdir), "steps": 20, "save_every": 5, "pause": 0.02}
    return [sys.executable, str(REPOSITORY / "tests" / "tiny_run.py"), json.dumps(settings)]


@pytest.mark.slow
def test_lives_that_signals_end_at_random_go_on_as_one_run(tmp_path):
    expected, seconds = signals.undisturbed(tiny, tmp_path, ENVIRONMENT)
    assert sorted(expected) == list(range(1, 21))
    rng = random.Random(int(seconds * 1e6))  # other moments every time
    found = signals.trials(tiny, tmp_path, ENVIRONMENT, expected, seconds, 5, rng)
    assert found["faults"] == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_whole_training_stopped_at_random(prepared, tmp_path, workers):
    def command(workdir):
        return small_run.command(prepared, workdir, steps=30, num_workers=workers)

    signals.undisturbed(command, tmp_path / "first", ENVIRONMENT)  # compiles
    expected, seconds = signals.undisturbed(command, tmp_path, ENVIRONMENT)
    found = signals.trials(command, tmp_path, ENVIRONMENT, expected, seconds, 12, random.Random(workers))
    assert found["faults"] == []
    assert found["met"] >= 4


def script(text, number, after=0.3, patience=20.0, times=1):
    """Run Python that prints "ready", send signals a moment later: status, seconds to the end, both outputs."""
    quiet = ["-W", "ignore::DeprecationWarning"]  # Python 3.12 has one of forks beside threads
    process = subprocess.Popen(
        [sys.executable, *quiet, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    time.sleep(after)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)  # signals of one kind that come together are one
    began = time.monotonic()
    out, err = process.communicate(timeout=patience)
    return process.returncode, time.monotonic() - began, out, err


COMMAND = """
import hashlib, sys, time
from experiments.command.ending import guarded
from jmpose_jax import stopping
stopping.install()
def held():  # as a compilation does: no line of Python for seconds, the interpreter's lock free
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 40_000_000)
"""


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_set_up_that_holds_the_main_thread_is_ended_at_once(number, status):
    run = COMMAND + "def run():\n    with stopping.at_once():\n        held()\nguarded('jmpose train', run)"
    found, seconds, _, err = script(run, number)
    assert found == status and seconds < 3
    assert err == f"jmpose train: stopped by {stopping_name(number)}\n"


def stopping_name(number):
    return {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]


@pytest.mark.parametrize("times", [1, 4])
def test_what_happens_is_said_at_once_though_the_main_thread_is_held(times):
    run = COMMAND.replace("40_000_000", "10_000_000") + (  # the signals come meanwhile, on a busy machine too
        "def run():\n"
        "    with stopping.StopNotice('stopping after the step') as notice:\n"
        "        held()\n"
        "        stopping._say(f'held until here\\n')\n"
        "        if notice.reached(): raise notice.stopped('saved')\n"
        "guarded('jmpose train', run)"
    )
    status, _, _, err = script(run, signal.SIGINT, times=times)
    assert status == 130
    again = [line for line in err.splitlines() if "again" in line]  # is said once, however often
    assert len(again) == (times > 1)
    assert [line for line in err.splitlines() if line not in again] == [
        "Ctrl-C: stopping after the step",
        "held until here",
        "jmpose train: stopped by Ctrl-C; saved",
    ]


def test_a_request_that_a_destructor_swallows_is_made_again():
    run = COMMAND + (
        "class Object:\n"
        "    def __del__(self):\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(1)\n"
        "def run():\n"
        "    Object()\n"
        "    for _ in range(100): time.sleep(0.1)\n"
        "guarded('jmpose prepare', run)"
    )
    status, seconds, _, err = script(run, signal.SIGINT)
    assert status == 130 and seconds < 5
    assert err == "jmpose prepare: stopped by Ctrl-C\n"


def test_the_initialisation_of_an_extension_module_is_not_broken_off():
    run = COMMAND + (
        "from importlib.machinery import ExtensionFileLoader\n"
        "def initialise(self):\n"
        "    print('ready', flush=True)\n"
        "    end = time.monotonic() + 1\n"
        "    while time.monotonic() < end: pass\n"
        "    print('whole', flush=True)\n"
        "def run():\n"
        "    initialise(ExtensionFileLoader('x', 'x.so'))\n"
        "    for _ in range(100): time.sleep(0.1)\n"
        "guarded('jmpose prepare', run)"
    )
    status, seconds, out, err = script(run, signal.SIGTERM)
    assert status == 143 and seconds < 5 and out == "whole\n"
    assert err == "jmpose prepare: stopped by SIGTERM\n"


def test_a_forked_process_keeps_no_handler_and_its_signals_are_its_own():
    run = COMMAND + (
        "import os, signal\n"
        "def run():\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(0.2)\n"
        "    os.kill(child, signal.SIGINT)\n"  # the parent hears Ctrl-C for it
        "    time.sleep(0.2)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), stopping.received(), flush=True)\n"
        "guarded('jmpose prepare', run)"
    )
    status, _, out, err = script(run, 0)
    assert (status, out, err) == (0, f"{-signal.SIGTERM} None\n", "")


CHILD = """
import signal, sys
from multiprocessing import get_context
from jmpose_jax.stopping import deaf_children
def work(answers):
    answers.put(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
if __name__ == "__main__":
    context = get_context("spawn")
    answers = context.SimpleQueue()
    with deaf_children(signal.SIGINT):  # the first process of all
        context.Process(target=work, args=(answers,)).start()
    print(answers.get(), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""


def test_processes_that_start_deaf_are_deaf_from_their_first_moment(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "child.py")], capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert run.stdout == f"{[signal.SIGINT]} []\n", run.stderr


def test_a_command_that_is_done_ends_undisturbed():
    run = COMMAND + (
        "import atexit\n"
        "atexit.register(lambda: (print('ready', flush=True), time.sleep(1)))\n"
        "guarded('jmpose prepare', lambda: None)"
    )
    assert script(run, signal.SIGINT)[0::3] == (0, "")


@pytest.mark.slow  # on a busy machine a signal may hit multiprocessing between a semaphore and its registration
@pytest.mark.parametrize("delay", [0.0, 1.5])
def test_ctrl_c_in_a_terminal_reaches_the_processes_of_prepare_and_none_complains(prepared, tmp_path, delay):
    output = tmp_path / "out"
    arguments = ["--dataset=synthetic", f"--source={prepared.parent / 'source'}", f"--output={output}"]
    command = [sys.executable, "-m", "experiments.cli", "prepare", *arguments, "--processes=2"]
    found = signals.life(command, tmp_path / "log", ENVIRONMENT, delay, [(signal.SIGINT, 0.0)], True)
    assert not found["fault"], found
    assert found["status"] == (0 if (output / "summary.json").exists() else 130)

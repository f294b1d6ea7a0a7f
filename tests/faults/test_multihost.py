"""Two processes as one run: equal losses, a common stop at SIGTERM, a lost host, going on with other numbers."""

import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import small_run
from benchmarks.faults import logged_losses
from jmpose_jax.train.writers import read_metrics

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "tiny_run.py"
pytestmark = [pytest.mark.multihost, pytest.mark.faults]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(workdir, processes, devices, **settings):
    port = free_port()
    common = {"workdir": str(workdir), "devices": devices, "processes": processes, "port": port, **settings}
    return [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(common | {"process": number})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(SCRIPT.parents[1])},
        )
        for number in range(processes)
    ]


def wait_for_step(process, step):
    for line in process.stdout:
        if line.startswith(f"step {step}"):
            return
    raise AssertionError(process.stderr.read())


def finish(started):
    results = [(*p.communicate(timeout=900), p.returncode) for p in started]
    for _, errors, status in results:
        assert status == 0, errors
    return {int(k): v for k, v in json.loads(results[0][0].splitlines()[-1]).items()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Function of a network's width: the losses of six steps by one process of four devices."""
    return functools.cache(
        lambda width: finish(start(tmp_path_factory.mktemp("alone") / "run", 1, 4, steps=6, width=width))
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The losses of sixteen steps by two processes."""
    return finish(start(tmp_path_factory.mktemp("undisturbed") / "run", 2, 1, steps=16))


@pytest.mark.parametrize(
    "settings",
    [
        {"slow": [1, 0.3]},
        {"width": 1024, "sharding": [[".*", "fsdp"]]},  # wide enough to be split
        {"mesh_model": 4},  # both processes hold all examples
    ],
    ids=["replicated", "fsdp", "model"],
)
def test_two_processes_of_two_devices_give_the_losses_of_one_process_of_four(alone, tmp_path, settings):
    one = alone(settings.get("width", 4))
    two = finish(start(tmp_path / "two", 2, 2, steps=6, **settings))
    assert sorted(one) == sorted(two) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([two[i] for i in one], list(one.values()), rtol=1e-6)
    for line in read_metrics(tmp_path / "two")[1:]:  # the first compiles
        assert line["host_skew"] >= 1
        if "slow" in settings:
            assert line["slowest_host"] == 1 and line["input_wait_slowest_host"] > line["input_wait"]


def test_sigterm_to_one_process_stops_both_at_one_step_and_one_process_goes_on(tmp_path):
    whole = finish(start(tmp_path / "whole", 1, 4, steps=40))
    pair = start(tmp_path / "pair", 2, 2, steps=40, pause=0.3, save_every=100)
    wait_for_step(pair[1], 3)
    pair[1].send_signal(signal.SIGTERM)
    errors = [p.communicate(timeout=900)[1] for p in pair]
    assert [p.returncode for p in pair] == [75, 75], errors
    saved = [line for text in errors for line in text.splitlines() if "saved at step" in line]
    assert len(saved) == 2 and saved[0] == saved[1]
    resumed = finish(start(tmp_path / "pair", 1, 4, steps=40))
    np.testing.assert_allclose([resumed[i] for i in whole], list(whole.values()), rtol=1e-5)


def test_ctrl_c_in_one_process_stops_both_at_one_step(tmp_path):
    pair = start(tmp_path, 2, 1, steps=400, pause=0.1, save_every=1000)
    wait_for_step(pair[1], 3)
    for _ in range(3):
        pair[1].send_signal(signal.SIGINT)
    errors = [p.communicate(timeout=900)[1] for p in pair]
    assert [p.returncode for p in pair] == [75, 130], errors
    saved = [line.partition("saved")[2] for text in errors for line in text.splitlines() if "saved at step" in line]
    assert len(saved) == 2 and saved[0] == saved[1]
    assert "Traceback" not in "".join(errors)


def line_of(errors, words):
    """The one line of ours that has the words. gRPC's threads may still write of the lost connection behind it."""
    (line,) = (line for line in errors.splitlines() if line.startswith(("jmpose ", "jmpose:")) and words in line)
    return line


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("fault, seconds", [(signal.SIGKILL, 10), (signal.SIGSTOP, 45)])
def test_a_host_that_dies_or_falls_silent_ends_the_other_and_the_pair_goes_on(
    undisturbed, tmp_path, victim, fault, seconds
):
    pair = start(tmp_path, 2, 1, steps=10_000, pause=0.05, save_every=5, heartbeat=10)
    wait_for_step(pair[1], 12)
    pair[victim].send_signal(fault)
    began = time.monotonic()
    other = pair[1 - victim]
    errors = other.communicate(timeout=300)[1]
    assert time.monotonic() - began < seconds
    assert other.returncode == 69, errors
    assert "run the same command on all hosts again" in line_of(errors, "another process of the run died or cannot be")
    assert "Traceback" not in errors
    pair[victim].kill()
    pair[victim].communicate()
    resumed = finish(start(tmp_path, 2, 1, steps=16))
    assert sorted(resumed) == list(range(1, 17))
    assert resumed == undisturbed


def test_other_numbers_of_devices_go_on_within_a_tolerance(tmp_path):
    whole = finish(start(tmp_path / "whole", 1, 1, steps=9))
    losses = {}
    for devices, steps in ((4, 3), (1, 6), (2, 9)):
        losses = finish(start(tmp_path / "changing", 1, devices, steps=steps))
    np.testing.assert_allclose([losses[i] for i in whole], list(whole.values()), rtol=1e-5)


def test_an_input_at_fault_on_one_host_ends_both_with_what_each_knows(tmp_path):
    pair = start(tmp_path, 2, 1, steps=50, fault=[1, 7], save_every=2)
    errors = [p.communicate(timeout=300)[1] for p in pair]
    assert pair[1].returncode == 2, errors
    assert line_of(errors[1], "the shard of this process is damaged").endswith("damaged")
    assert pair[0].returncode == 69, errors
    assert line_of(errors[0], "another process of the run died or cannot be reached")


def test_hosts_that_hold_different_parameters_are_found(tmp_path):
    pair = start(tmp_path, 2, 1, steps=50, differ=True)
    errors = [p.communicate(timeout=300)[1] for p in pair]
    assert [p.returncode for p in pair] == [76, 76], errors
    assert all("at step 2 the parameters of processes [1] differ from those of process 0" in e for e in errors)


def test_a_whole_training_and_its_evaluation_by_two_processes_equal_those_by_one(context, prepared, tmp_path):
    def run(target, *arguments, processes=1, **options):
        address = f"127.0.0.1:{free_port()}"
        members = [(address, processes, number) for number in range(processes)] if processes > 1 else [None]
        started = [context.Process(target=target, args=(*map(str, arguments), m), kwargs=options) for m in members]
        for process in started:
            process.start()
        for process in started:
            process.join(300)
        assert [process.exitcode for process in started] == [0] * processes

    run(small_run.train, prepared, tmp_path / "one", steps=6)
    run(small_run.train, prepared, tmp_path / "two", processes=2, steps=6, save_every=3, keep=2)
    # Killed after step 3 and started again by one process: the place in the input is the same.
    shutil.copytree(tmp_path / "two", tmp_path / "changed")
    shutil.rmtree(tmp_path / "changed" / "checkpoints" / "6")
    run(small_run.train, prepared, tmp_path / "changed", steps=6)
    one = logged_losses(tmp_path / "one")
    for name in ("two", "changed"):
        other = logged_losses(tmp_path / name)
        assert sorted(other) == sorted(one) == list(range(1, 7))
        for step, losses in one.items():
            assert other[step] == pytest.approx(losses, rel=1e-4)

    for processes in (1, 2):
        folder = tmp_path / f"evaluated-{processes}"
        run(small_run.evaluate, prepared, folder, tmp_path / "one", processes=processes)
    first, second = (json.loads((tmp_path / f"evaluated-{n}" / "evaluation.json").read_text()) for n in (1, 2))
    assert first["ap"] == pytest.approx(second["ap"], nan_ok=True) and first["frames"] == second["frames"]
    written = sorted((tmp_path / "evaluated-1" / "predictions").glob("*.json"))
    assert written
    for path in written:
        ours, theirs = (json.loads(p.read_text()) for p in (path, tmp_path / "evaluated-2/predictions" / path.name))
        assert len(ours["annotations"]) == len(theirs["annotations"])
        for a, b in zip(ours["annotations"], theirs["annotations"]):
            np.testing.assert_allclose(a["keypoints"], b["keypoints"], atol=1e-3)

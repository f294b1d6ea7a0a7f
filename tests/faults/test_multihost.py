"""Two processes as one run: equal losses, a common stop at SIGTERM, and going on with another number of processes."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "tiny_run.py"
pytestmark = [pytest.mark.multihost, pytest.mark.faults]


def start(workdir, processes, devices, **settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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


def finish(started):
    results = [(*p.communicate(timeout=900), p.returncode) for p in started]
    for _, errors, status in results:
        assert status == 0, errors
    return {int(k): v for k, v in json.loads(results[0][0].splitlines()[-1]).items()}


def test_two_processes_of_two_devices_give_the_losses_of_one_process_of_four(tmp_path):
    one = finish(start(tmp_path / "one", 1, 4, steps=6))
    two = finish(start(tmp_path / "two", 2, 2, steps=6))
    assert sorted(one) == sorted(two) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([two[i] for i in one], list(one.values()), rtol=1e-6)


def test_sigterm_to_one_process_stops_both_at_one_step_and_one_process_goes_on(tmp_path):
    whole = finish(start(tmp_path / "whole", 1, 4, steps=40))
    pair = start(tmp_path / "pair", 2, 2, steps=40, pause=0.3, save_every=100)
    for line in pair[1].stdout:
        if line.startswith("step 3"):
            break
    pair[1].send_signal(signal.SIGTERM)
    errors = [p.communicate(timeout=900)[1] for p in pair]
    assert [p.returncode for p in pair] == [75, 75], errors
    saved = [line for text in errors for line in text.splitlines() if "saved at step" in line]
    assert len(saved) == 2 and saved[0] == saved[1]
    resumed = finish(start(tmp_path / "pair", 1, 4, steps=40))
    np.testing.assert_allclose([resumed[i] for i in whole], list(whole.values()), rtol=1e-5)

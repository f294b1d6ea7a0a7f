"""What a mesh of four virtual devices must not change: statistics, losses, parameters."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("four_devices.py")


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(SCRIPT.parents[2]), *sys.path]),
    }
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_batch_norms_see_the_whole_batch(found):
    assert found["statistics"] < 1e-5
    assert found["losses"] < 1e-5
    assert found["statistics_of_a_device"] > 0.1  # what they would be otherwise


def test_fsdp_splits_the_arrays_and_changes_no_result(found):
    held, whole = found["fsdp_shape"]
    assert held != whole and held[-1] == whole[-1] / 4
    assert found["fsdp"] < 1e-3  # Adam divides gradients by their size: what rounds differently near zero grows


def test_bfloat16_computes_near_and_keeps_parameters_in_float32(found):
    assert 0 < found["bfloat16"] < 0.05
    assert found["bfloat16_types"] == ["float32"]


def test_an_evaluation_splits_its_batches_over_the_devices_and_keeps_every_clip(found):
    assert found["evaluated_on_a_device"] == 2  # of six clips, filled up to eight
    assert found["evaluated_shape"][0] == 6
    assert found["evaluated"] < 1e-5


def test_raft_encodes_a_split_batch_without_an_exchange(found):
    assert found["exchanges_of_raft"] == {}

"""One process at a time in a folder."""

import os
import signal
import subprocess
import sys
import time

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.locks import LOCK, locked

HOLDER = """
import os, sys, time
from jmpose_jax.locks import locked
with locked(sys.argv[1]):
    if os.fork() == 0:  # a worker, which must not hold what its parent held
        time.sleep(30)
        os._exit(0)
    print("held", flush=True)
    time.sleep(30)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_second_process_is_told_of_the_first(tmp_path, holder):
    with pytest.raises(InputError) as fault, locked(tmp_path):
        pass
    assert str(holder.pid) in str(fault.value) and str(tmp_path) in str(fault.value)


def test_a_dead_owner_s_lock_is_taken_over_though_its_workers_live(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    while holder.poll() is None:
        time.sleep(0.01)
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_what_a_crash_left_is_no_lock(tmp_path):
    (tmp_path / LOCK).write_text("half a")
    with locked(tmp_path):
        pass


def test_the_same_process_is_told_too_and_the_lock_goes_with_the_block(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        with pytest.raises(InputError), locked(tmp_path / "." / ""):
            pass
        raise RuntimeError
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("place", ["/proc/jmpose", "/sys/jmpose"])
def test_a_place_that_cannot_be_written_to(place):
    with pytest.raises(InputError), locked(place):
        pass


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError), locked(tmp_path / "taken"):
        pass

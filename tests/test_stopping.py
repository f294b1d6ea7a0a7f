"""Signals that are asked for, and those that nobody asks for."""

import signal
import subprocess
import sys

import pytest

from jmpose_jax import stopping
from jmpose_jax.errors import Interrupted, Terminated
from jmpose_jax.stopping import StopNotice


@pytest.mark.parametrize("number, kind", [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)])
def test_a_signal_is_reached_at_the_next_point_and_handlers_come_back(number, kind, capfd):
    before = signal.getsignal(number)
    with StopNotice("soon") as notice:
        assert not notice.reached()
        for _ in range(5):
            signal.raise_signal(number)
        assert notice.reached() and notice.reached()
    assert isinstance(notice.stopped("done"), kind)
    assert signal.getsignal(number) is before
    said = capfd.readouterr().err
    assert said.count("soon") == 1
    with StopNotice() as notice:
        assert not notice.reached()


def test_a_signal_after_the_last_point_is_passed_on():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt), StopNotice():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_inner_context_s_signal_reaches_the_outer_one():
    with StopNotice() as outer:
        with StopNotice():
            signal.raise_signal(signal.SIGINT)
        assert outer.reached()


INSTALLED = """
import signal, sys
from jmpose_jax import stopping
stopping.install()
"""


def run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", INSTALLED + script], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_installed_the_first_signal_raises_and_later_ones_do_not(name):
    ended = run(f"""
try:
    signal.raise_signal(signal.{name})
except stopping.StopRequested as stop:
    for _ in range(6):
        signal.raise_signal(signal.SIGINT)
    print("put away", stop.number == signal.{name})
""")
    assert ended.returncode == 0 and ended.stdout == "put away True\n" and "Traceback" not in ended.stderr


def test_a_signal_whose_exception_was_lost_is_reached_later():
    ended = run("""
class Swallows:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)  # Python prints the exception and goes on
Swallows()
with stopping.StopNotice() as notice:
    print(notice.reached(), type(notice.stopped("")).STATUS)
""")
    assert ended.stdout == "True 130\n"


def test_signals_while_a_stop_is_put_away_do_not_break_it_off():
    ended = run("""
with stopping.StopNotice() as notice:
    signal.raise_signal(signal.SIGTERM)
    assert notice.reached()
for _ in range(3):
    signal.raise_signal(signal.SIGINT)
print(type(notice.stopped("saved")).STATUS)
""")
    assert ended.stdout == "143\n"


def test_forgetting():
    stopping.forget()
    with StopNotice() as notice:
        assert not notice.reached()

"""Progress: items pass unchanged, plain lines or a bar, and estimates that the slow first item does not spoil."""

import io
import re

import pytest

from jmpose_jax.progress import Pace, ProgressBar, leave_bars, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: `clock[0]` is the time."""
    now = [1000.0]
    monkeypatch.setattr("jmpose_jax.progress.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("enabled", [True, False])
def test_items_pass_unchanged(monkeypatch, stream, enabled):
    monkeypatch.setattr("sys.stderr", stream())
    assert list(progress(iter("abc"), 3, "letters", enabled)) == ["a", "b", "c"]


def test_a_log_gets_plain_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    list(progress(range(5), 5, "counting", interval=0.0))
    lines = log.getvalue().splitlines()
    assert [re.split(r" \(", line)[0] for line in lines[:4]] == [f"counting: {i}/5" for i in (1, 2, 3, 4)]
    assert ["s to go" in line for line in lines] == [False, False, True, True, False]
    assert lines[-1].startswith("counting: 5 done in") and "\r" not in log.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := Terminal())
    list(progress(range(4), 4, "counting"))
    assert "counting: 100%" in log.getvalue()


def test_nothing_is_said_where_it_is_switched_off(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    list(progress(range(4), None, "counting", enabled=False))
    assert log.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_an_unknown_total_reports_a_rate(monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", log := stream())
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)
    list(progress(range(4), None, "counting", interval=0.0))
    assert "a second" in log.getvalue() and "to go" not in log.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_compilation_is_not_counted_into_the_estimate(monkeypatch, clock, stream):
    """A first step of 90 s and steps of 0.1 s: 1,000 steps take 100 s more, and nothing else is ever said."""
    monkeypatch.setattr("sys.stderr", log := stream())
    bar = ProgressBar(1000, "train", interval=0.0)
    clock[0] += 90
    bar.update()
    for _ in range(50):
        clock[0] += 0.1
        bar.note("loss 1")
        bar.update()
    bar.close()
    said = [int(found) for found in re.findall(r"(\d+) s to go", log.getvalue())]
    assert said and all(90 <= seconds <= 101 for seconds in said)
    assert "loss 1" in log.getvalue()
    if stream is io.StringIO:
        assert log.getvalue().splitlines()[-1] == "train: stopped at 51/1000 (5 %) in 95.0 s; loss 1"


def test_the_clock_restarts_where_the_caller_says(monkeypatch, clock):
    """A run that goes on at step 500; its first step compiles, the caller restarts the clock after it."""
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    bar = ProgressBar(600, "train", initial=500, interval=5.0)
    clock[0] += 300
    bar.update()
    bar.restart()
    clock[0] += 2
    bar.update()
    assert log.getvalue() == "train: 501/600 (84 %)\n"  # no second line so soon after the restart
    clock[0] += 4
    bar.update()
    assert log.getvalue().splitlines()[1] == "train: 503/600 (84 %), 291 s to go"
    bar.close()
    bar.close()
    assert log.getvalue().splitlines()[2:] == ["train: stopped at 503/600 (84 %) in 306.0 s"]


@pytest.mark.parametrize(
    "total, first, steps, said",
    [(120, 100, 20, "120 of 120, 20 of them now"), (None, 3, 2, "5, 2 of them now"), (2, 0, 2, "2 done")],
)
def test_the_last_line_counts_as_those_before(monkeypatch, clock, total, first, steps, said):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    bar = ProgressBar(total, "train", initial=first, interval=100.0)
    bar.update(steps)
    bar.close()
    assert log.getvalue() == f"train: {said} in 0.0 s\n"


def test_what_is_said_last_does_not_stand_behind_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := Terminal())
    bar = ProgressBar(10, "train")
    bar.update()
    assert not log.getvalue().endswith("\n")
    leave_bars()
    assert log.getvalue().endswith("\n")
    leave_bars()
    bar.close()
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    bar = ProgressBar(10, "train")
    leave_bars()  # plain lines need no end
    assert log.getvalue() == ""


def test_the_rate_is_that_of_late_and_idle_polls_are_no_items():
    pace = Pace(0)
    for now in range(5):
        pace.add(0, float(now))
    assert pace.rate(0, 5.0) is None
    for item in range(1, 101):  # a slow start: one in ten seconds
        pace.add(item, 10.0 * item)
    for item in range(101, 301):
        pace.add(item, 1000.0 + (item - 100))
    assert pace.rate(300, 1200.0) == pytest.approx(1.0)

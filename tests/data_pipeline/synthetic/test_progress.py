import io

import pytest

from data_pipeline.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("enabled", [True, False])
def test_items_pass_unchanged(monkeypatch, stream, enabled):
    monkeypatch.setattr("sys.stderr", stream())
    assert list(progress(iter("abc"), 3, "letters", enabled)) == ["a", "b", "c"]


def test_a_log_gets_plain_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    list(progress(range(4), 4, "counting", interval=0.0))
    lines = log.getvalue().splitlines()
    assert [line.split(" (")[0] for line in lines[:3]] == [f"counting: {i}/4" for i in (1, 2, 3)]
    assert "s to go" in lines[0] and lines[-1].startswith("counting: 4 done in")
    assert "\r" not in log.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := Terminal())
    list(progress(range(4), 4, "counting"))
    assert "counting: 100%" in log.getvalue()


def test_nothing_is_said_where_it_is_switched_off(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    list(progress(range(4), None, "counting", enabled=False))
    assert log.getvalue() == ""


def test_an_unknown_total_reports_a_rate(monkeypatch):
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    list(progress(range(2), None, "counting", interval=0.0))
    assert "a second" in log.getvalue()

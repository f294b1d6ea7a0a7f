"""Nothing is silent: what is compiled is said before, how far it is afterwards."""

from experiments.command import reported as module
from experiments.command.reported import reported


class Slow:
    """Three batches; the clock says that the first took long."""

    def __len__(self):
        return 3

    def __iter__(self):
        return iter("abc")


def test_compiling_is_said_before_the_first_batch_is_worked_on(capsys):
    batches = reported(Slow(), "evaluate")
    assert next(batches) == "a"
    said = capsys.readouterr().err
    assert "evaluate: compiling" in said and "3 batches" in said
    assert list(batches) == ["b", "c"]
    assert "evaluate: 3 done" in capsys.readouterr().err


def test_the_first_batch_is_no_measure_of_the_rest(monkeypatch):
    begun = []

    class Bar:
        def __init__(self, total, description, *, enabled):
            begun.append((total, enabled))

        def update(self, steps):
            begun.append(steps)

        def restart(self):
            begun.append("restart")

        def close(self):
            begun.append("closed")

    monkeypatch.setattr(module, "ProgressBar", Bar)
    batches = reported(Slow(), "evaluate")
    next(batches)
    assert begun == [(3, True)]
    list(batches)
    assert begun == [(3, True), 1, "restart", 1, 1, "closed"]  # the clock starts anew when the first batch is done


def test_silence_where_it_is_asked_for(capsys):
    assert list(reported(Slow(), "evaluate", enabled=False)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    list(reported(Slow(), "validate", compiled=True))
    assert "compiling" not in capsys.readouterr().err


def test_no_batch():
    class Empty(Slow):
        def __iter__(self):
            return iter(())

    assert list(reported(Empty(), "evaluate")) == []

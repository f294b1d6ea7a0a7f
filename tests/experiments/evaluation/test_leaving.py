"""How an evaluation by one process begins and ends."""

import json

import jax
import pytest

from experiments.evaluation.leaving import FILE, check_leaving, leave_files
from experiments.evaluation.page import PAGE
from jmpose_jax.errors import InputError


def test_both_files_or_none_and_an_earlier_evaluation_is_kept(tmp_path, monkeypatch, capsys):
    for step in (1, 2):
        check_leaving(tmp_path, "number", "things are counted")
        rows = {"network": {"error": float(step)}}
        leave_files(tmp_path, "number", {"step": step}, "pixels", rows, ["error"], 3, ["a note"])
    assert json.loads((tmp_path / FILE).read_text()) == {"step": 2}
    assert "<td>2.000</td>" in (tmp_path / PAGE).read_text()
    assert "the earlier evaluation is kept as" in capsys.readouterr().err
    with pytest.raises(InputError):
        check_leaving(tmp_path, "refuse", "things are counted")
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError, match="things are counted by one process"):
        check_leaving(tmp_path, "number", "things are counted")

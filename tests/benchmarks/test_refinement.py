"""The benchmark of refinement at its smallest: its filters, its rows, its table."""

import json

import numpy as np
import pytest

from benchmarks import refinement
from data_pipeline.sequences import motions
from experiments.run import sequences
from jmpose_jax.errors import InputError


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(motions, "MADE", {"train": 3, "val": 2, "test": 2})
    monkeypatch.setattr(motions, "MADE_FRAMES", 90)
    sequences._read.cache_clear()
    yield
    sequences._read.cache_clear()


def test_filters_leave_lines_alone():
    line = np.arange(24.0)[:, None, None] * np.array([[[1.0, -2.0, 0.5]]])
    known = np.ones((24, 1), bool)
    for name in ("Gaussian", "Savitzky-Golay"):
        for _, function in refinement.filters()[name]:
            np.testing.assert_allclose(function(line, known, 30.0), line, atol=1e-9)  # its ends too


def test_rows_of_filters_and_their_table(tmp_path):
    result = refinement.measure(refinement.Data(), tmp_path, 1, (), [])
    rows = result["rows"]
    assert rows["Gaussian"]["mean"]["Accel"] < rows["input"]["mean"]["Accel"] / 2
    assert rows["Gaussian"]["mean"]["MPJPE"] < rows["input"]["mean"]["MPJPE"]
    assert rows["One-Euro"]["mean"]["Accel"] < rows["input"]["mean"]["Accel"]
    assert json.dumps(result) and refinement.table(result).count("\n") == 5
    # The same file with networks in it keeps them, and one of another noise is refused.
    old = result | {"rows": {"input": {}, "Gaussian": {"strength": "sigma 99"}, "HANet": {"mean": {"MPJPE": 1.0}}}}
    new = refinement.with_filters(old, {name: result[name] for name in ("data", "noise", "sequences", "rows")})
    assert new["rows"] == rows | {"HANet": {"mean": {"MPJPE": 1.0}}} and list(new["rows"])[-1] == "HANet"
    with pytest.raises(InputError, match="its data is None"):
        refinement.with_filters({"rows": {}}, result)


@pytest.mark.slow
def test_a_network_s_row(tmp_path):
    told = []
    result = refinement.measure(
        refinement.Data(), tmp_path, 2, (0, 1), ["SmoothNet"], lambda found: told.append(json.dumps(found))
    )
    row = result["rows"]["SmoothNet"]
    assert set(row["seeds"]) == {"0", "1"} and row["spread"]["MPJPE"] >= 0 and len(told) == 2
    assert row["mean"]["MPJPE"] == pytest.approx(np.mean([run["MPJPE"] for run in row["seeds"].values()]))

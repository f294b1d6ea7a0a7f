"""The benchmark of refinement at its smallest: its filters, its rows, its table."""

import json

import numpy as np
import pytest

from benchmarks import refinement
from data_pipeline.sequences import motions
from experiments.run import sequences


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(motions, "MADE", {"train": 3, "val": 2, "test": 2})
    monkeypatch.setattr(motions, "MADE_FRAMES", 24)
    sequences._read.cache_clear()
    yield
    sequences._read.cache_clear()


def test_filters_leave_lines_alone():
    line = np.arange(24.0)[:, None, None] * np.array([[[1.0, -2.0, 0.5]]])
    for strengths in refinement.filters().values():
        for _, function in strengths[:3]:
            found = function(line)
            assert found.shape == line.shape
            np.testing.assert_allclose(found[11:13], line[11:13], atol=0.2)
    short = line[:2]
    assert refinement.filters()["Savitzky-Golay"][-1][1](short).shape == short.shape


def test_rows_of_filters_and_their_table(tmp_path):
    result = refinement.measure("", tmp_path, 1, (), [])
    rows = result["rows"]
    assert rows["Gaussian"]["mean"]["Accel"] < rows["input"]["mean"]["Accel"] / 2
    assert rows["Gaussian"]["mean"]["MPJPE"] < rows["input"]["mean"]["MPJPE"]
    assert json.dumps(result) and refinement.table(result).count("\n") == 4


@pytest.mark.slow
def test_a_network_s_row(tmp_path):
    told = []
    result = refinement.measure("", tmp_path, 2, (0, 1), ["SmoothNet"], lambda found: told.append(json.dumps(found)))
    row = result["rows"]["SmoothNet"]
    assert set(row["seeds"]) == {"0", "1"} and row["spread"]["MPJPE"] >= 0 and len(told) == 2
    assert row["mean"]["MPJPE"] == pytest.approx(np.mean([run["MPJPE"] for run in row["seeds"].values()]))

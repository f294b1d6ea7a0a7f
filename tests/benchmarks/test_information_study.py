"""The study of the information objective: gains over alpha 0, and the tables."""

from benchmarks import information, information_study, vectorized_grid
from experiments.grids import cells as grid_cells
from experiments.grids import engines

BASE = {
    "seed": 0,
    "dataset": {"root": ""},
    "init": {"backbone": ""},
    "loss": {"alpha": 1.0},
    "model": {
        "name": "jmpose",
        "predictors": {"estimators": {"relevancy": "vml_js", "complement": "vsd", "redundancy": "vsd"}},
    },
}


def test_gains_are_over_the_same_seed_without_the_objective(tmp_path):
    worlds = [{"name": str(seed), "seed": seed} for seed in (3, 4)]
    axes = {
        "estimators": [information_study.bundle(name) for name in ("vsd", "club")],
        "seed": worlds,
        "loss.alpha": (0.0, 1.0),
    }
    planned = grid_cells.expand(BASE, axes)
    found = {("vsd", "3", "0"): 60.0, ("vsd", "4", "0"): 50.0, ("vsd", "3", "1"): 61.0, ("vsd", "4", "1"): 50.5}
    found |= {("club", "3", "1"): 58.0}  # its alpha 0 is that of the first set
    for cell in planned.cells:
        ap = found.get((cell.labels["estimators"], cell.labels["seed"], cell.labels["loss.alpha"]))
        if ap is not None:
            engines.write_status(tmp_path, cell, "done", ap={"Total": ap})
    rows = information_study.rows_of(planned, tmp_path)
    assert [(row["estimators"], row["alpha"]) for row in rows] == [("vsd", 0.0), ("vsd", 1.0), ("club", 1.0)]
    assert rows[1]["gain"] == {"3": 1.0, "4": 0.5} and rows[1]["mean_gain"] == 0.75
    assert rows[2]["gain"] == {"3": -2.0}
    text = information_study.table({"rows": rows, "split": "val", "steps": 9}).splitlines()
    assert text[2] == "| none | 0 | 60.0 | 50.0 | – |"
    assert text[3] == "| vsd | 1 | 61.0 (+1.0) | 50.5 (+0.5) | +0.75 |"
    assert text[4] == "| club | 1 | 58.0 (-2.0) | – | -2.00 |"


def test_table_of_estimates():
    rows = [
        {"estimator": "club", "bound": "upper", "dimensions": d, "truth": truth, "estimate": 2 * truth}
        for d in information.DIMENSIONS
        for truth in (0.5, 1.0)
    ]
    text = information.table({"rows": rows, "steps": 7, "cpu_seconds": 1.2}).splitlines()
    assert text[0] == "| estimator | bound | dimensions | I = 0.5 | I = 1 |"
    assert text[2] == "| club | upper | 1 | 1.00 | 2.00 |" and len(text) == 7


def test_table_of_the_vectorised_grid():
    result = {
        "alone": {"compile_seconds": [20.0, 22.0], "step_seconds": [0.4, 0.6]},
        "together": {"compile_seconds": 40.0, "step_seconds": 2.0, "programs": 1},
        "cells": 16,
        "small": False,
        "batch_size": 16,
        "clock": "process_time",
        "steps": 5,
        "run_steps": 220,
        "ratio_with_compilation": 0.23,
        "ratio_of_steps": 0.25,
        "machine": {"device": "cpu", "cores": 1},
    }
    text = vectorized_grid.table(result).splitlines()
    assert text[2] == "| one run alone | 16 for 16 runs | 21.0 | 0.500 |"
    assert text[3] == "| 16 cells together | 1 | 40.0 | 2.000 |"
    assert text[5].startswith("16 cells of 220 steps, compilation counted: 0.23 of the time of 16 runs")

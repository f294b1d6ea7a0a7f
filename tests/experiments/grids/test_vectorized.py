"""Vectorised grids: what comes out equals what single runs leave, with one program for all cells."""

import json
import math

import numpy as np
import pytest

from experiments import grid
from experiments.evaluation import poses
from experiments.grids import cells as grid_cells
from experiments.grids import engines
from experiments.grids import vectorized as grid_vectorized
from jmpose_jax.errors import InputError
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.writers import read_metrics


def test_groups_are_cells_that_differ_in_loss_weights_alone():
    base = {"seed": 0, "loss": {"alpha": 1.0, "weights": {"relevancy": 1.0}}}
    found = grid_cells.expand(base, {"seed": (0, 1), "loss.alpha": (0.0, 1.0), "loss.weights.relevancy": (1.0, 2.0)})
    groups = grid_vectorized.groups(found, found.cells)
    assert [[cell.index for cell in group] for group in groups] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_cells_that_are_not_finite_are_told_by_loss_or_gradient_and_step():
    nan, inf = math.nan, math.inf
    steps = [
        (1, {"loss/total": np.array([1.0, nan, 1.0]), "gradient_norm": np.array([1.0, nan, 1.0])}),
        (2, {"loss/total": np.array([1.0, nan, 1.0]), "gradient_norm": np.array([1.0, nan, inf])}),
    ]
    broken = {}
    grid_vectorized._inspect([None] * 3, steps, broken, None)
    assert {place: message[-6:] for place, message in broken.items()} == {1: "step 1", 2: "step 2"}
    broken, skipped = {}, [0, 0, 0]  # where such steps are left out, the cell goes on
    grid_vectorized._inspect([None] * 3, steps, broken, skipped)
    assert not broken and skipped == [0, 2, 1]


def test_evaluation_while_training_is_refused(config, tmp_path):
    config.train.evaluate_every = 2
    found = grid.plan(config, {"loss.weights.heatmap": (1.0, 2.0)}, tmp_path)
    with pytest.raises(InputError, match="config.train.evaluate_every: .* leave --vectorize out"):
        grid_vectorized.run_vectorized(tmp_path, found)


@pytest.fixture
def config(small_backbone):
    small_backbone.train.steps = 4
    small_backbone.train.save_every = 2
    return small_backbone


def _compare(alone, workdir, found, index, tolerance):
    """The cell of a vectorised grid against the same cell run alone: losses of every step, variables, AP."""
    ours, theirs = (engines.cell_folder(folder, found.cells[index]) for folder in (workdir, alone))
    lines, expected = read_metrics(ours), read_metrics(theirs)
    assert [line["step"] for line in lines] == [line["step"] for line in expected] and lines
    for line, other in zip(lines, expected):
        # The program of all cells has their clips a second; how the process fares is not theirs.
        assert line.keys() == other.keys() - {"steps_per_second", "input_wait", "host_memory_peak_bytes"}
        for name in (n for n in line if n.startswith("loss/") or n == "learning_rate"):
            np.testing.assert_allclose(line[name], other[name], rtol=tolerance, atol=1e-7, err_msg=name)
    (config, _), (expected_config, _) = (trained_models.load_variables(folder) for folder in (ours, theirs))
    assert config == expected_config
    ap, expected_ap = (json.loads((folder / "evaluation.json").read_text())["mean"] for folder in (ours, theirs))
    assert abs(ap - expected_ap) < 1.0


@pytest.mark.slow
def test_a_vectorised_cell_ends_as_the_cell_alone(config, tmp_path, monkeypatch):
    axes = {"loss.weights.heatmap": (100.0, 30.0, 1e39)}
    found = grid.plan(config, axes, tmp_path / "together")

    saves, save = [], grid_vectorized._save

    def stopped(manager, states, step, *rest):
        save(manager, states, step, *rest)
        saves.append(step)
        if saves == [2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(grid_vectorized, "_save", stopped)
    with pytest.raises(KeyboardInterrupt):
        grid_vectorized.run_vectorized(tmp_path / "together", found)
    assert len(engines.pending(tmp_path / "together", found)) == 3
    # From step 2, one program for all, as it was cut before; and again broken off, when one cell has ended.
    scored, score = [], poses.score

    def stopped_scoring(*arguments):
        scored.append(arguments)
        if len(scored) == 2:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(poses, "score", stopped_scoring)
    with pytest.raises(KeyboardInterrupt):
        grid_vectorized.run_vectorized(tmp_path / "together", found, memory_gib=1e-6)
    assert saves == [2, 4] and len(engines.pending(tmp_path / "together", found)) == 1
    assert len(list((tmp_path / "together" / "vectorized").iterdir())) == 1
    assert grid_vectorized.run_vectorized(tmp_path / "together", found) == 0  # nothing is left to train
    assert saves == [2, 4] and len(scored) == 3
    assert not any((tmp_path / "together" / "vectorized").iterdir())

    statuses = [engines.read_status(tmp_path / "together", cell) for cell in found.cells]
    assert [s["status"] for s in statuses] == ["done", "done", "nan"] and "step 1" in statuses[2]["message"]
    assert math.isfinite(statuses[0]["ap"]["Total"])
    grid.plan(config, axes, tmp_path / "alone")
    engines.run_cell(tmp_path / "alone", 1)
    _compare(tmp_path / "alone", tmp_path / "together", found, 1, 1e-3)
    report = grid.run_grid(found, tmp_path / "together", vectorize=True)
    assert report["counts"] == {"done": 2, "nan": 1}  # nothing left to do


@pytest.mark.slow
def test_slices_that_fit_the_memory_give_the_same(config, tmp_path):
    config.train.steps = 2
    found = grid.plan(config, {"loss.weights.heatmap": (100.0, 30.0)}, tmp_path / "sliced")
    assert grid_vectorized.run_vectorized(tmp_path / "sliced", found, memory_gib=1e-3) == 2  # cut until it fits
    grid.plan(config, {"loss.weights.heatmap": (100.0, 30.0)}, tmp_path / "alone")
    engines.run_cell(tmp_path / "alone", 1)
    _compare(tmp_path / "alone", tmp_path / "sliced", found, 1, 1e-3)


@pytest.mark.slow
def test_jmpose_cells_with_a_shared_backbone(small_jmpose, tmp_path):
    small_jmpose.train.steps = 3
    small_jmpose.loss.normalization = "heatmap_loss"
    axes = {"loss.alpha": (0.0, 1.0)}
    found = grid.plan(small_jmpose, axes, tmp_path / "together")
    assert grid_vectorized.run_vectorized(tmp_path / "together", found) == 1
    grid.plan(small_jmpose, axes, tmp_path / "alone")
    engines.run_cell(tmp_path / "alone", 1)
    _compare(tmp_path / "alone", tmp_path / "together", found, 1, 5e-3)

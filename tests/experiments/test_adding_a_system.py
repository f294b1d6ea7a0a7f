"""A system is a model, an objective, a config and a row: the toy of docs/adding_a_system.md, trained and evaluated."""

import pathlib
import re
import textwrap

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import grid
from experiments.grids import engines
from experiments.grids.vectorized import run_vectorized
from experiments.run.summary import summary
from experiments.train import train
from jmpose_jax.inference.predictor import from_checkpoint
from jmpose_jax.systems import SYSTEMS, System
from jmpose_jax.train.trained import load_model
from jmpose_jax.train.writers import read_metrics
from tests.commands import run

ROW = System("tests.experiments.average_of_heatmaps:AverageOfHeatmaps", "jmpose_jax.losses.heatmap:HeatmapObjective")


@pytest.fixture
def config(monkeypatch, shrink, prepared) -> ConfigDict:
    monkeypatch.setitem(SYSTEMS, "average", ROW)
    page = (pathlib.Path(__file__).parents[2] / "docs/adding_a_system.md").read_text()
    written = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "get_config" in block)
    names: dict = {}
    exec(textwrap.dedent("   " + written.lstrip()), names)
    return shrink(names["get_config"](), prepared)


def test_a_row_is_enough_for_the_summary(config):
    assert summary(config, depth=1).startswith("average on one clip") and "backbone" in summary(config, depth=1)


@pytest.mark.slow  # CI runs it
def test_a_row_is_enough_to_train_its_grid_as_one_program(config, tmp_path):
    config.train.steps = 1
    found = grid.plan(config, {"loss.weights.heatmap": (1.0, 2.0)}, tmp_path)
    assert run_vectorized(tmp_path, found) == 1
    assert {engines.read_status(tmp_path, cell)["status"] for cell in found.cells} == {"done"}


def test_a_row_is_enough_to_train_evaluate_and_predict(config, tmp_path):
    config.train.evaluate_every = 3
    train(config, tmp_path, quiet=True)
    lines = read_metrics(tmp_path)
    assert np.isfinite([line["loss/heatmap"] for line in lines]).all() and any("eval/ap" in line for line in lines)
    ended = run("evaluate", f"--workdir={tmp_path}")
    assert ended.status == 0 and "AP" in ended.out and (tmp_path / "evaluation.json").is_file()
    _, _, variables = load_model(tmp_path)
    assert variables["params"]["weights"].shape == (3,) and len(jax.tree.leaves(variables)) > 10
    assert from_checkpoint(str(tmp_path)).delta == 1

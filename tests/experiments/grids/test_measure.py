"""What a grid's cells are measured by, and what is looked at before they are trained."""

import json

import pytest

from configs import raft_synthetic
from experiments import grid
from experiments.evaluation.endpoint_error import MEASURE as FLOW
from experiments.evaluation.poses import MEASURE as POSES
from experiments.grids import cells as grid_cells
from experiments.grids import engines
from experiments.grids import report as grid_report
from experiments.grids.measure import check_evaluable, measure_of
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none

RAFT = {"seed": 0, "model": {"name": "raft"}, "loss": {"gamma": 0.8}, "train": {"steps": 1}}


def test_raft_is_measured_by_endpoint_error_and_not_mixed_with_poses():
    assert measure_of(grid_cells.expand(RAFT, {"loss.gamma": (0.7, 0.8)})) is FLOW
    poses = grid_cells.expand(RAFT | {"model": {"name": "jmpose"}}, {"loss.gamma": (0.7, 0.8)})
    assert measure_of(poses) is POSES
    with pytest.raises(InputError, match="two grids"):
        measure_of(grid_cells.expand(RAFT, {"model.name": ("raft", "jmpose")}))


def test_the_report_of_endpoint_errors(tmp_path):
    found = grid_cells.expand(RAFT, {"loss.gamma": (0.7, 0.8, 0.9)})
    for cell, error in zip(found.cells, (0.9, 0.4, 0.7)):
        parts = {"all": error, "moving": 2 * error, "1 frame": error, "2 frames": None}
        engines.write_status(tmp_path, cell, "done", endpoint_error=parts)
    report = grid_report.write_report(tmp_path, found)
    assert report["best"] == {"loss.gamma": "0.8"} and report["value"] == 0.4
    text = (tmp_path / "grid.md").read_text()
    assert "| 0.8 | 0.800 | **0.400** | -0.500 |" in text and "endpoint error in px; less is better" in text
    assert "endpoint_error/1 frame" in (tmp_path / "grid.csv").read_text().splitlines()[0]


def test_a_cell_of_raft_is_scored_by_endpoint_error(tmp_path, monkeypatch):
    def evaluate(config, workdir, checkpoint):
        return {"endpoint_error": {"network": {"all": 0.5, "moving": float("nan")}, "dis": {"all": 1.0}}}

    trained = []
    monkeypatch.setattr("experiments.evaluation.endpoint_error.evaluate", evaluate)
    monkeypatch.setattr("experiments.train.train", lambda config, folder: trained.append(config))
    monkeypatch.setattr(engines, "check_evaluable", lambda config: None)
    found = grid.plan(raft_synthetic.get_config(), {"loss.gamma": (0.7, 0.8)}, tmp_path)
    status = engines.run_cell(tmp_path, 1)
    assert trained[0].loss.gamma == 0.8 and status["status"] == "done"
    assert status["endpoint_error"] == {"all": 0.5, "moving": None}
    assert engines.read_status(tmp_path, found.cells[1]) == status


def test_what_could_not_be_evaluated_is_refused_before_it_is_trained(small_backbone, prepared, tmp_path, monkeypatch):
    check_evaluable(small_backbone)
    small_backbone.eval.decode = "foo"
    with pytest.raises(InputError, match="config.eval.decode='foo'"):
        check_evaluable(small_backbone)
    small_backbone.eval.decode = "dark"
    small_backbone.dataset.eval_split = "dev"
    with pytest.raises(InputError, match=r"eval_split='dev'.*test, train, val"):
        check_evaluable(small_backbone)
    monkeypatch.setattr("experiments.train.train", lambda *_: pytest.fail("trained"))
    found = grid.plan(small_backbone, {"loss.weights.heatmap": (1.0, 2.0)}, tmp_path)
    status = engines.run_cell(tmp_path, 0)
    assert status["status"] == "failed" and "eval_split" in status["message"]
    with pytest.raises(InputError, match=r"cell 0 .*eval_split"):
        grid.check_cells(tmp_path, found)

    small_backbone.dataset.eval_split = "val"
    small_backbone.eval.ema = True
    with pytest.raises(InputError, match="ema_decay"):
        check_evaluable(small_backbone)
    config = raft_synthetic.get_config()
    config.dataset.root = str(prepared)
    config.dataset.flow_source = "dis"
    with pytest.raises(InputError, match="flow_source='dis'"):
        check_evaluable(config)


def test_what_is_not_finite_is_absent(tmp_path):
    figures = finite_or_none({"Head": float("nan"), "Total": 50.0, "Shou": None})
    assert figures == {"Head": None, "Total": 50.0, "Shou": None}
    found = grid_cells.expand(RAFT | {"model": {"name": "jmpose"}}, {"loss.gamma": (0.7, 0.8)})
    engines.write_status(tmp_path, found.cells[0], "done", ap=figures)
    engines.write_status(tmp_path, found.cells[1], "done", ap={"Total": None})
    report = grid_report.write_report(tmp_path, found)
    assert report["best"] == {"loss.gamma": "0.7"}
    json.loads((engines.cell_folder(tmp_path, found.cells[0]) / "cell.json").read_text(), parse_constant=pytest.fail)
    assert POSES.shown(float("nan")) == "–"

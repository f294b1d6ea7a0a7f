"""Pictures and tables of the report."""

import json

import cv2
import numpy as np

from experiments.pictures.plots import ap_bars, loss_curves
from experiments.pictures.report import markdown_table
from jmpose_jax.train.writers import MetricsWriter


def test_loss_curves_and_bars_are_pictures_of_the_numbers(tmp_path):
    writer = MetricsWriter(tmp_path / "run")
    for step in range(1, 30):
        writer.write(step, {"loss/heatmap": 1 / step, "loss/total": 2 / step, "learning_rate": 1e-3})
    writer.close()
    loss_curves({"a run": tmp_path / "run", "no run yet": tmp_path / "none"}, tmp_path / "loss.png")
    ap_bars({"a": {"x": 50.0, "y": float("nan")}, "b": {"x": 10.0, "y": 90.0}}, ["x", "y"], tmp_path / "ap.png")
    for name in ("loss.png", "ap.png"):
        image = cv2.imread(str(tmp_path / name))
        assert image.shape[0] > 200 and np.std(image) > 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ap.png", "loss.png", "run"]


def test_figures_that_are_null_are_gaps(tmp_path):
    (tmp_path / "run").mkdir()
    lines = ({"step": 1, "loss/heatmap": None, "learning_rate": None}, {"step": 2, "loss/heatmap": 0.5})
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    loss_curves({"a run": tmp_path / "run"}, tmp_path / "loss.png")
    ap_bars({"a": {"x": 50.0, "y": None}}, ["x", "y", "z"], tmp_path / "ap.png")
    assert all(cv2.imread(str(tmp_path / name)) is not None for name in ("loss.png", "ap.png"))


def test_a_table_rounds_and_marks_what_is_not_there():
    table = markdown_table({"row": {"a": 12.345, "b": float("nan")}}, ["a", "b"])
    assert table.splitlines() == ["| | a | b |", "|---|---|---|", "| row | 12.3 | – |"]

"""Networks of sequences trained, evaluated, resumed and swept by the commands, small enough for seconds."""

import json

import jax
import numpy as np
import pytest

from configs import hanet
from data_pipeline.sequences import motions
from experiments import grid
from experiments.evaluation import kinematics
from experiments.grids import engines
from experiments.grids import report as grid_report
from experiments.run import sequences
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.metrics.pose_sequences import COLUMNS
from jmpose_jax.refinement.filters import METHODS
from jmpose_jax.refinement.network import from_checkpoint
from jmpose_jax.refinement.sequence import refine_sequence
from jmpose_jax.train.trained import load_model
from jmpose_jax.train.writers import read_metrics
from tests.commands import run
from tests.data_pipeline.sequences.layouts import write


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few and short motions that we make."""
    monkeypatch.setattr(motions, "MADE", {"train": 6, "val": 2, "test": 3})
    monkeypatch.setattr(motions, "MADE_FRAMES", 26)
    sequences._read.cache_clear()
    yield
    sequences._read.cache_clear()


def small(network, steps=2, data="embedded_3d"):
    config = hanet.get_config(f"{data},{network}")
    config.dataset.window = 11
    config.train.update({"steps": steps, "batch_size": 4, "save_every": steps, "log_every": 1})
    config.optimizer.warmup_steps = 1
    config.eval.batch_size = 8
    if network == "smoothnet":
        config.model.update({"hidden": 16, "residual_hidden": 8, "blocks": 1})
    elif network == "deciwatch":
        config.model.update({"width": 8, "layers": 1, "heads": 2})
    else:
        config.model.update({"width": 8, "encoder_layers": 1, "decoder_layers": 1, "heads": 2})
    return config


def test_trained_evaluated_and_scored_again(tmp_path):
    config = small("smoothnet", steps=3)
    config.train.evaluate_every = 3
    train(config, tmp_path, quiet=True)
    lines = read_metrics(tmp_path)
    assert np.isfinite([line["loss/position"] for line in lines if "loss/position" in line]).all()
    validated = next(line["eval/mpjpe"] for line in lines if "eval/mpjpe" in line)
    ended = run("evaluate", f"--workdir={tmp_path}")
    assert ended.status == 0 and "PCK@.05" in ended.out and "smoothnet" in ended.out
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert result["unit"] == "mm" and result["frames"] == 3 * 26 and not result["unscored_tail"]
    rows = result["mpjpe"]
    assert list(rows) == ["input", *METHODS, "smoothnet"] and tuple(rows["input"]) == COLUMNS
    assert all(0 < rows[name]["Accel"] < rows["input"]["Accel"] and name in ended.out for name in METHODS)
    assert rows["smoothnet"]["MPJPE"] == pytest.approx(validated, rel=1e-5)
    joints = result["joints"]["input"]["MPJPE"]
    assert np.mean(list(joints.values())) == pytest.approx(rows["input"]["MPJPE"], rel=1e-9)
    assert (tmp_path / "evaluation.html").read_text().count("<td>input</td>") == 1
    # `jmpose refine --checkpoint` does what was scored: the same windows, coordinates and means.
    split, refiner = sequences.evaluated(config), from_checkpoint(tmp_path, 14, 3)
    estimates = [np.asarray(split.poses(place), np.float64) for place in range(3)]
    refined = [refine_sequence(poses, np.isfinite(poses).all(-1), None, refiner).poses for poses in estimates]
    again = kinematics.columns(kinematics.score(split, refined), split)
    assert again == pytest.approx(rows["smoothnet"], rel=1e-5)
    for flag, culprit in (
        ("--config.dataset.joints=17", "config.dataset.joints=17"),
        ("--config.model.hidden=24", "config.model.hidden is 24, its own 16"),
        ("--body_model=x", "--body_model=x is for rotations"),
        ("--predictions=x", "--predictions is not for what is measured here: MPJPE"),
    ):
        refused = run("evaluate", f"--workdir={tmp_path}", flag)
        assert refused.status == 2 and culprit in refused.err and not (tmp_path / "evaluation-2.json").exists()


def test_rotations_have_two_of_the_figures(tmp_path):
    write(tmp_path, "pw3d", "test", (60, 55))
    config = hanet.get_config("smpl")
    config.dataset.root, config.dataset.estimates = str(tmp_path), "est"
    split = sequences.evaluated(config)
    refined = [split.poses(place) + np.float32(0.1) for place in range(2)]
    found = kinematics.columns(kinematics.score(split, refined), split)
    assert found["MPJPE"] == pytest.approx(0.1 * 6**0.5, rel=1e-5) and found["Accel"] == pytest.approx(0, abs=1e-6)
    assert all(np.isnan(found[column]) for column in COLUMNS if column not in kinematics.OF_ROTATIONS)


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(tmp_path):
    config = small("smoothnet", steps=4)
    config.optimizer.schedule = "stable"  # that of any length
    config.optimizer.end_rate = 0.0
    whole = train(config, tmp_path / "whole", quiet=True)
    config.train.steps = config.train.save_every = 2
    train(config, tmp_path / "parts", quiet=True)
    config.train.steps = 4
    parts = train(config, tmp_path / "parts", quiet=True, allow_config_change=True)
    assert int(parts.step) == 4
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(whole.params), jax.device_get(parts.params))
    config.dataset.train_split = "val"
    with pytest.raises(InputError, match="config.dataset.train_split"):
        train(config, tmp_path / "parts", quiet=True)


def test_the_score_of_what_comes_back():
    split = sequences.evaluated(small("smoothnet"))
    truth = [sequence.target.astype(float) for sequence in split.data.sequences]
    perfect = kinematics.columns(kinematics.score(split, truth), split)
    assert perfect["MPJPE"] == 0 and perfect["PCK@.05"] == 100
    off = [poses + np.where(np.arange(14)[:, None] == 7, 0.01, 0.0) for poses in truth]
    assert kinematics.columns(kinematics.score(split, off), split)["MPJPE"] == pytest.approx(10 * 3**0.5 / 14)
    found = np.stack([split.window(row).poses.reshape(11, -1) for row in range(len(split))])
    same = kinematics.score(split, split.way_back(found)).mean
    given = kinematics.score(split, kinematics.inputs(split, split.way_back(found))).mean
    assert same == pytest.approx(given, rel=1e-4)
    assert kinematics.scorer(small("smoothnet"))(np.full_like(found, np.nan))["mpjpe"] != 0  # NaN is never the best


def test_the_official_way_drops_tails_and_counts_padding(tmp_path):
    write(tmp_path, "jhmdb", "test", (14, 6))
    config = hanet.get_config("jhmdb,official")
    config.dataset.root, config.dataset.estimates = str(tmp_path), "est"
    split = sequences.evaluated(config)
    found = np.stack([split.window(row).poses.reshape(11, -1) for row in range(len(split))])
    back = split.way_back(found)
    assert [len(poses) for poses in back] == [11, 11]
    short = kinematics.score(split, back)
    assert short.frames == 22 and not np.abs(back[1][6:]).any()


@pytest.mark.slow
@pytest.mark.parametrize("vectorize", [False, True])
def test_a_grid(tmp_path, vectorize):
    config = small("smoothnet")
    found = grid.plan(config, {"loss.weights.acceleration": (0.1, 1.0)}, tmp_path, checked=True)
    grid.run_grid(found, tmp_path, vectorize=vectorize)
    assert {engines.read_status(tmp_path, cell)["status"] for cell in found.cells} == {"done"}
    assert "MPJPE" in (tmp_path / "grid.md").read_text()
    assert grid_report.write_report(tmp_path, found)["counts"] == {"done": 2}


@pytest.mark.slow
@pytest.mark.parametrize("network", ["hanet", "deciwatch"])
def test_the_transformers(tmp_path, network):
    config = small(network)
    train(config, tmp_path, quiet=True)
    result = kinematics.evaluate(config, tmp_path)
    assert result["step"] == 2 and result["mpjpe"][network]["MPJPE"] > 0
    _, model, variables = load_model(tmp_path)
    assert model.channels == 42 and len(jax.tree.leaves(variables)) > 20


@pytest.mark.slow
def test_smoothnet_learns(tmp_path):
    """A few hundred steps on motions that we make leave less than half the acceleration error."""
    config = small("smoothnet", steps=300)
    config.train.batch_size = 32
    config.optimizer.learning_rate = 3e-3
    train(config, tmp_path, quiet=True)
    rows = kinematics.evaluate(config, tmp_path)["mpjpe"]
    assert rows["smoothnet"]["Accel"] < rows["input"]["Accel"] / 2

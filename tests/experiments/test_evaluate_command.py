"""`jmpose evaluate`: what it needs, what it keeps, what it says; every fault is one line with status 2."""

import json
import pathlib

import jax
import numpy as np
import pytest

from data_pipeline.clips.table import ClipTable
from experiments.evaluation import comparison, poses
from experiments.run.building import plain
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17_TO_15
from jmpose_jax.train import checkpoints
from jmpose_jax.train import trained as trained_models
from tests.commands import run

CONFIGS = pathlib.Path("configs").resolve()


@pytest.fixture
def command():
    """Run the command in this process: its status and what it printed."""

    def call(*arguments):
        ended = run("evaluate", *arguments)
        return ended.status, ended.out, ended.err

    return call


def read(path):
    return json.loads(path.read_text(), parse_constant=pytest.fail)


def test_a_workdir_is_enough_and_earlier_results_are_kept(trained, command):
    status, out, err = command(f"--workdir={trained}")
    assert status == 0 and "evaluate: compiling" in err and "AP" in out and "MOTA" in out
    first = read(trained / "evaluation.json")
    page = (trained / "evaluation.html").read_text()
    assert all(f"<td>{value:.2f}</td>" in page for value in first["ap"].values() if value is not None)
    assert first["predictions"] == str(trained / "predictions")
    status, _, err = command(f"--workdir={trained}")  # the same again: nothing is kept twice
    assert status == 0 and not (trained / "evaluation-2.json").exists() and "kept" not in err
    status, _, err = command(f"--workdir={trained}", "--config.eval.decode=argmax")
    assert status == 0 and str(trained / "evaluation-2.json") in err
    assert (trained / "evaluation-2.html").read_text() == page
    assert read(trained / "evaluation-2.json") == first | {"predictions": str(trained / "predictions-2")}
    names = {path.name for path in (trained / "predictions").iterdir()}
    assert names == {path.name for path in (trained / "predictions-2").iterdir()} and not list(trained.glob(".jm*"))
    # The workdir's own files can be scored, and stay.
    status, _, _ = command(f"--workdir={trained}", f"--predictions={trained / 'predictions'}")
    assert status == 0 and {path.name for path in (trained / "predictions").iterdir()} == names
    assert "checkpoint" not in read(trained / "evaluation.json")
    status, _, err = command(f"--workdir={trained}", "--if_exists=refuse")
    assert status == 2 and err.count("\n") == 1 and "evaluation.json" in err


def test_a_model_that_is_not_the_checkpoints_is_refused(trained, command):
    before = sorted(path.name for path in trained.iterdir())
    for override, culprits in (
        (
            ("--config.model.backbone.width=8", "--config.dataset.delta=1"),
            ("model.backbone.width is 8", "delta"),
        ),
        (("--config.model.name=jmpose",), ("is of a image", "of a jmpose")),
        (("--config.eval.decode=foo",), ("config.eval.decode='foo'",)),
    ):
        status, out, err = command(f"--workdir={trained}", *override)
        assert status == 2 and out == "" and err.count("\n") == 1 and all(text in err for text in culprits)
    assert sorted(path.name for path in trained.iterdir()) == before


def test_figures_of_a_few_steps_come_after_a_warning(trained, command):
    status, _, err = command(f"--workdir={trained}")
    assert status == 0 and "of step 6:" in err.splitlines()[-1]
    status, _, err = command(f"--workdir={trained}", f"--predictions={trained / 'predictions'}")
    assert status == 0 and "of step" not in err  # files are of nobody knows which model


def test_the_help_says_what_becomes_of_an_earlier_evaluation(command):
    _, out, _ = command("--help")
    text = " ".join(out.split("--if_exists")[1].split("--")[0].split())
    assert "number: keep them under the next free number" in text and "write beside" not in text


def test_the_config_beside_a_checkpoint_is_enough(trained, command, tmp_path):
    step = trained_models.find_checkpoint(trained)
    status, _, _ = command(f"--checkpoint={step}", f"--workdir={tmp_path / 'out'}")
    result = read(tmp_path / "out" / "evaluation.json")
    assert status == 0 and result["split"] == "val"
    assert result["checkpoint"] == str(step) and result["step"] == int(step.name)


def test_folders_are_scored_without_config_and_data_set(prepared, command, tmp_path):
    truth, poses = prepared / "annotations" / "val", tmp_path / "poses"
    poses.mkdir()
    for path in truth.glob("*.json"):
        content = json.loads(path.read_text())
        for person in content["annotations"]:
            person["scores"] = [0.5] * 17
        (poses / path.name).write_text(json.dumps(content))
    (poses / "all_results.json").write_text("[]")
    before = sorted(tmp_path.rglob("*"))
    both = (f"--ground_truth={truth}", f"--predictions={poses}")
    status, out, _ = command(*both)
    assert status == 0 and sorted(tmp_path.rglob("*")) == before and "wrote" not in out
    (row,) = [line for line in out.splitlines() if line.startswith("AP")]
    assert row.split()[1:] == ["100.00"] * 8 and "all_results.json" in out and str(truth) in out
    status, out, _ = command(*both, f"--workdir={tmp_path / 'out'}", "--crowd_index=0")
    written = read(tmp_path / "out" / "evaluation.json")
    assert status == 0 and written["mean"] == 100.0 and written["ground_truth"] == str(truth)
    assert set(written["mota"].values()) == {None} and "mota" in written["absent"]  # one labelled frame a video
    assert written["challenging"]["mean"] == 100.0 and (tmp_path / "out" / "challenging" / "frames.json").is_file()
    status, _, err = command(*both, f"--workdir={truth}")
    assert status == 2 and "--workdir" in err and not (truth / "evaluation.json").exists()


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        ((), "--config and --workdir are missing"),
        (("--ground_truth=x",), "--predictions is missing"),
        (("--ground_truth=none", "--predictions=none"), "none"),
        (("--ground_truth=x", "--predictions=y", "--checkpoint=z"), "--checkpoint does not go with --ground_truth"),
        (("--config=configs/backbone.py", "--workdir=w", "--predictions=y", "--oks_nms=0.9"), "--oks_nms"),
        (
            ("--config=configs/raft_synthetic.py", "--workdir=w", "--predictions=y"),
            "--predictions is not for what is measured here: endpoint error",
        ),
        (("--config=configs/backbone.py", "--workdir=w"), "config.dataset.root is empty"),
        (("--config=configs/backbone.py", "--workdir=w", "--config.dataset.root=none"), "root=none does not exist"),
        (("--config=configs/backbone.py", "--workdir=w", "--config.train.decode=x"), "'eval.decode'"),
        (("--workdir=w",), "--workdir=w has no config.json"),
        (("--workdir=w", "--checkpoint=c"), "--checkpoint=c and --workdir=w have no config.json"),
    ],
)
def test_flags_at_fault_are_one_line(arguments, culprit, command, monkeypatch, tmp_path):
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)
    status, out, err = command(*(argument.replace("configs/", f"{CONFIGS}/") for argument in arguments))
    assert status == 2 and out == "" and err.count("\n") == 1 and culprit in err
    assert not list(place.iterdir())


def test_a_place_that_cannot_be_written_to_is_refused_before_the_model_runs(small_backbone, command, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(plain(small_backbone)))
    (tmp_path / "file").write_text("x")
    place = tmp_path / "file"
    status, _, err = command(f"--config={tmp_path / 'config.json'}", f"--workdir={place}", "--checkpoint=none")
    assert status == 2 and err.count("\n") == 1 and f"--workdir={place}" in err


def test_a_folder_of_runs_is_no_run(trained, command):
    for more in ((), (f"--config={trained / 'config.json'}",)):
        status, _, err = command(f"--workdir={trained.parent}", *more)
        assert status == 2 and err.count("\n") == 1 and str(trained) in err


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        (lambda variables: {"params": {}, "batch_stats": {}}, "missing"),
        (lambda variables: {**variables, "batch_stats": {}}, "missing (e.g. batch_stats/backbone"),
        (lambda variables: jax.tree.map(lambda x: np.concatenate([x, x]), variables), "of another shape"),
    ],
)
def test_variables_of_another_model_are_one_line(trained, command, tmp_path, change, culprit):
    config, variables = trained_models.load_variables(trained)
    checkpoints.save_variables(tmp_path / "other", change(variables), config)
    before = sorted(path.name for path in trained.iterdir())
    status, _, err = command(f"--workdir={trained}", f"--checkpoint={tmp_path / 'other'}")
    lines = [line for line in err.splitlines() if line.startswith("jmpose evaluate: ")]
    assert status == 2 and len(lines) == 1 and str(tmp_path / "other") in lines[0] and culprit in lines[0]
    assert sorted(path.name for path in trained.iterdir()) == before


def test_weights_that_are_not_finite_write_nothing(small_backbone, trained, monkeypatch):
    load = trained_models.load_model

    def broken(*arguments, **options):
        config, model, variables = load(*arguments, **options)
        return config, model, jax.tree.map(lambda x: x * np.nan, variables)

    monkeypatch.setattr("experiments.evaluation.poses.load_model", broken)
    before = sorted(path.name for path in trained.iterdir())
    with pytest.raises(InputError, match="checkpoint .* not finite for"):
        poses.evaluate(small_backbone, trained, None, None)
    assert sorted(path.name for path in trained.iterdir()) == before


def test_an_empty_subset_of_the_comparison_is_null_with_a_reason(prepared):
    table = ClipTable.load(prepared, "test")
    table.clips["joint_cause"] = np.full_like(np.asarray(table.clips["joint_cause"]), "seen")
    keypoints = table.clips["keypoints"][:, list(POSETRACK17_TO_15)]
    estimates = {"backbone": (keypoints, np.ones(keypoints.shape[:2], np.float32))}
    result = comparison.score(estimates, table, prepared / "annotations" / "test")
    assert result["subsets"]["backbone"]["hidden"] is None and "subsets/hidden" in result["absent"]
    json.dumps(result, allow_nan=False)

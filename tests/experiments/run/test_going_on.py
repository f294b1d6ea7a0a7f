"""A run that goes on: its config, its data set and its beginning are looked at before anything heavy is made."""

import json
import shutil

import numpy as np
import pytest

import experiments.train as module
from data_pipeline.clips.table import ClipTable
from experiments.run import clips, going_on
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.train import trained as trained_models


@pytest.fixture(scope="module")
def begun(prepared, tmp_path_factory):
    """A finished run of two steps, and its config; not to be written into."""
    from benchmarks import small_run

    folder = tmp_path_factory.mktemp("begun") / "run"
    train(small_run.config(prepared, steps=2), folder, quiet=True)
    return folder


@pytest.fixture
def run(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "run")


@pytest.fixture
def config(small_backbone):
    small_backbone.train.steps = 2
    return small_backbone


@pytest.fixture
def nothing_heavy(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the set-up has begun")

    monkeypatch.setattr(module, "set_up", refuse)
    monkeypatch.setattr(clips, "train", refuse)


@pytest.fixture
def other_data(prepared, tmp_path):
    """The same clips with one joint elsewhere."""
    folder = shutil.copytree(prepared, tmp_path / "other")
    table = ClipTable.load(folder, "train")
    table.clips["keypoints"][0, 0] += 1
    table.save(folder, "train")
    return folder


def test_where_a_run_stands(run, tmp_path):
    found = going_on.earlier(run)
    assert found.step == 2 and found.config["train"]["steps"] == 2
    assert going_on.earlier(tmp_path / "none") is None and not (tmp_path / "none").exists()
    metadata = next((run / "checkpoints" / "2").glob("_CHECKPOINT_METADATA"))
    metadata.write_text("{")
    assert going_on.earlier(run) is None  # whoever restores it tells of it


def test_another_config_is_refused_before_the_set_up(config, run, nothing_heavy):
    config.optimizer.learning_rate = 1.0
    with pytest.raises(InputError, match="config.optimizer.learning_rate: 0.003 -> 1.0"):
        train(config, run, quiet=True)


def test_another_data_set_is_refused_before_the_set_up(config, run, other_data, nothing_heavy):
    config.dataset.root = str(other_data)
    with pytest.raises(InputError, match="config.dataset.root: .*prepared -> .*other is another data set"):
        train(config, run, quiet=True)
    (run / going_on.FILE).unlink()  # as a run of before left it: the earlier data set is still there
    with pytest.raises(InputError, match="is another data set"):
        train(config, run, quiet=True)


def test_a_data_set_that_was_prepared_anew_in_the_same_place_is_another(config, run, other_data, nothing_heavy):
    content = json.loads((run / going_on.FILE).read_text())
    (run / going_on.FILE).write_text(json.dumps(content | {"root": str(other_data)}))
    config.dataset.root = str(other_data)
    with pytest.raises(InputError, match="config.dataset.root=.*other is another data set"):
        train(config, run, quiet=True)


def test_another_data_set_of_another_size_may_be_allowed(config, run, prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "fewer")
    table = ClipTable.load(folder, "train")
    fewer = ClipTable({k: v[:-1] for k, v in table.clips.items()}, table.frames, table.videos, table.skeleton)
    fewer.save(folder, "train")
    config.dataset.root, config.train.steps = str(folder), 3
    with pytest.raises(InputError, match="is another data set"):
        train(config, run, quiet=True)
    assert int(train(config, run, quiet=True, allow_config_change=True).step) == 3
    assert json.loads((run / going_on.FILE).read_text())["clips"] == len(fewer)


@pytest.mark.parametrize("there", [True, False])
def test_a_data_set_that_was_moved_is_the_same(config, run, prepared, tmp_path, capsys, there):
    folder = shutil.copytree(prepared, tmp_path / "moved")
    if not there:
        content = json.loads((run / going_on.FILE).read_text())
        (run / going_on.FILE).write_text(json.dumps(content | {"root": "/none/before"}))
    config.dataset.root = str(folder)
    train(config, run)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "dataset.root" in line]
    assert f"-> {folder}: the same data set" in line
    assert json.loads((run / going_on.FILE).read_text())["root"] == str(folder)


def test_an_init_that_is_not_read_is_named_and_not_written_down(config, run, tmp_path, capsys):
    config.init.backbone = str(tmp_path / "nowhere")  # nor is it looked for
    train(config, run)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "config.init" in line]
    assert f"config.init.backbone={tmp_path / 'nowhere'} has no effect: the run is at step 2" in line
    assert json.loads((run / "config.json").read_text())["init"] == {"backbone": ""}
    config.train.steps = 3
    train(config, run, quiet=True)
    assert going_on.earlier(run).config["init"] == {"backbone": ""} and going_on.earlier(run).step == 3


def test_the_same_start_says_nothing_of_it(config, run, capsys):
    before = trained_models.load_variables(run)[1]
    train(config, run)
    assert capsys.readouterr().err == ""
    for one, other in zip(_leaves(before), _leaves(trained_models.load_variables(run)[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


def test_a_frozen_part_with_random_values_is_named_in_a_fresh_run_alone(small_backbone, tmp_path, capsys):
    small_backbone.optimizer.frozen = ("backbone/",)
    small_backbone.train.steps = 1
    for expected in (1, 0):
        train(small_backbone, tmp_path / "run")
        lines = [line for line in capsys.readouterr().err.splitlines() if "random values" in line]
        assert len(lines) == expected
        small_backbone.train.steps = 2

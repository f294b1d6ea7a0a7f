"""Configs from Python files and from the config.json of a run: every fault is one line that names the culprit."""

import json

import pytest

from configs import backbone, common, jmpose, raft_synthetic
from experiments.configuration import files as config_files
from experiments.run.building import plain
from jmpose_jax.errors import InputError

GOOD = """
from configs import common
from ml_collections import ConfigDict

def get_config(variant="a"):
    if variant not in ("a", "b"):
        raise ValueError(f"no variant {variant!r}")
    config = common.base()
    config.model = ConfigDict({"name": "image"})
    {more}
    return config
"""


def file(tmp_path, text, name="my.py"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def good(tmp_path, more=""):
    return file(tmp_path, GOOD.replace("{more}", more))


def test_a_file_and_its_variant(tmp_path):
    path = good(tmp_path, "config.seed = 7 if variant == 'b' else 3")
    assert config_files.load(path).seed == 3
    assert config_files.load(f"{path}:b").seed == 7


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = 1", "no function get_config"),
        ("get_config = 3", "no function get_config"),
        ("import no_such_module_x", "ModuleNotFoundError"),
        ("def get_config(:", "SyntaxError"),
        ("def get_config():\n    return {}['a']", "KeyError.*line 2"),
        ("def get_config():\n    return int('x')", "ValueError|invalid literal"),
        ("def get_config():\n    return None", "gives None"),
        ("def get_config():\n    return {'model': {'name': 'image'}}", "lacks .* keys, such as"),
        ("def get_config():\n    return {}", "model.name"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError"),
    ],
)
def test_what_is_wrong_with_a_config_file(text, message, tmp_path):
    path = file(tmp_path, text)
    with pytest.raises(InputError, match=message) as error:
        config_files.load(path)
    assert path in str(error.value)


def test_a_place_that_is_no_config_file(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("x")
    for place, message in [
        (tmp_path / "none.py", "no such file"),
        (tmp_path / "run", r"is a folder.*config\.json"),
        (tmp_path / "notes.txt", "neither"),
        (tmp_path / "none.json", "no such file"),
        (tmp_path / "run" / "config.json", "'model' is missing"),
    ]:
        with pytest.raises(InputError, match=message):
            config_files.load(str(place))


def test_variants_at_fault(tmp_path):
    with pytest.raises(InputError, match="no variant 'c'"):
        config_files.load(good(tmp_path) + ":c")
    path = file(tmp_path, "def get_config():\n    return 1", "plain.py")
    with pytest.raises(InputError, match="takes no variant.*':c'"):
        config_files.load(f"{path}:c")


@pytest.mark.parametrize(
    "more, message",
    [
        ("config.train.step = 3", r"config\.train\.step; did you mean 'train.steps'"),
        ("config.train.learning_rate = 3.0", "did you mean 'optimizer.learning_rate'"),
        ("config.optimizer.learning_rate = float('nan')", "config.optimizer.learning_rate is nan"),
        ("config.model.x = float('inf')", "config.model.x is inf"),
        ("del config.eval['decode']", "lacks 1 keys, such as eval.decode"),
    ],
)
def test_a_key_that_nothing_reads_and_a_number_that_is_none(more, message, tmp_path):
    with pytest.raises(InputError, match=message):
        config_files.load(good(tmp_path, more))


@pytest.mark.parametrize(
    "config",
    [jmpose.get_config("tiny"), jmpose.get_config("paper"), backbone.get_config("tiny"), raft_synthetic.get_config()],
)
def test_a_saved_config_is_the_config_with_its_types(config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(plain(config)))
    assert config_files.load_saved(path).to_dict() == config.to_dict()


def test_keys_that_an_older_run_did_not_have_get_their_defaults(tmp_path):
    content = plain(backbone.get_config("tiny"))
    del content["train"]["remat"], content["loss"]["sigma"], content["eval"]
    content["optimizer"]["clip_norm"] = 0  # as another writer of JSON may put 0.0
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    config = config_files.load_saved(path)
    assert config.train.remat is False and config.eval.decode == common.base().eval.decode
    assert config.loss.sigma == common.base().loss.sigma
    assert type(config.optimizer.clip_norm) is float


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["train"].update(steps="many"), "'train.steps' must be"),
        (lambda c: c.update(train=3), "'train' must be an object"),
        (lambda c: c.update(model=[]), "'model' must be an object"),
        (lambda c: c["optimizer"].update(learning_rate=float("nan")), "optimizer.learning_rate is nan"),
        (lambda c: c["dataset"].update(input_size=5), "'dataset.input_size' must be"),
    ],
)
def test_a_damaged_saved_config(change, message, tmp_path):
    content = plain(backbone.get_config("tiny"))
    change(content)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as error:
        config_files.load_saved(path)
    assert str(path) in str(error.value)


def test_the_config_of_a_run_from_its_checkpoints(tmp_path):
    run = tmp_path / "run"
    step = run / "checkpoints" / "10"
    (step / "variables").mkdir(parents=True)
    assert config_files.beside(run) is None
    (run / "config.json").write_text("{}")
    for place in (run, run / "checkpoints", step):
        assert config_files.beside(place) == run / "config.json"
    assert config_files.beside(run / "tensorboard") is None
    assert config_files.runs_below(tmp_path) == [run]
    assert str(run) in config_files.where_runs_are(tmp_path) and config_files.where_runs_are(run) == ""

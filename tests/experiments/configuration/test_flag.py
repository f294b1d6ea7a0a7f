"""`--config`, its overrides, and the config that a run left: read the same way by all commands."""

import json

import pytest
from absl import flags

from configs import backbone, jmpose
from experiments.configuration.flag import define_config, override, read_flags, required_config, split_overrides
from experiments.run.building import plain
from jmpose_jax.errors import InputError


@pytest.fixture
def read():
    """Read the flags of a command that takes a run's config: (config, what is no flag)."""
    before = set(flags.FLAGS)
    config = define_config("The config.", saved_in=("checkpoint", "workdir"), unless="ground_truth")
    holders = [flags.DEFINE_string(name, None, "x") for name in ("workdir", "checkpoint", "ground_truth")]

    def call(*arguments, needed=()):
        flags.FLAGS.unparse_flags()
        rest = read_flags(["jmpose example", *arguments])
        if needed:
            required_config(config, *(holder for holder in holders if holder.name in needed))
        return config.value, rest

    yield call
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


def run_at(folder, **train):
    """A workdir with the config.json of a run."""
    config = backbone.get_config("tiny")
    config.train.update(train)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(plain(config)))
    return config


def test_arguments_are_parted(tmp_path):
    rest, given = split_overrides(
        ["jmpose", "--config=x", "--config.a.b=1=2", "-config.c", "-3", "--config.d", "--noconfig.e", "--w", "5", "--"]
        + ["--config.z=1"]
    )
    assert rest == ["jmpose", "--config=x", "--w", "5", "--", "--config.z=1"]
    assert given == {"a.b": "1=2", "c": "-3", "d": True, "e": False}
    with pytest.raises(InputError, match="--config.a is given 2 times"):
        split_overrides(["jmpose", "--config.a=1", "--config.a=2"])


def test_overrides_have_the_types_of_the_config():
    config = jmpose.get_config("tiny")
    given = {
        "train.steps": "7",
        "optimizer.learning_rate": "1e-3",
        "optimizer.weight_decay": "2",
        "train.remat": "true",
        "eval.ema": True,
        "dataset.root": "some where",
        "dataset.input_size": "(64, 48)",
        "optimizer.boundaries": "1,2.5",
        "optimizer.frozen": "('a/',)",
        "model.backbone": "{'width': 8}",
    }
    override(config, given)
    assert (config.train.steps, config.optimizer.learning_rate, config.optimizer.weight_decay) == (7, 1e-3, 2.0)
    assert config.train.remat is True and config.eval.ema is True and config.dataset.root == "some where"
    assert config.dataset.input_size == (64, 48) and config.optimizer.boundaries == (1.0, 2.5)
    assert config.optimizer.frozen == ("a/",) and config.model.backbone.to_dict() == {"width": 8}


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("train.learning_rate", "1", "did you mean 'optimizer.learning_rate'"),
        ("batch_size", "1", "'eval.batch_size' or 'train.batch_size'"),
        ("colour", "1", "lists all keys"),
        ("train.steps.x", "1", "has no key"),
        ("", "1", "has no key"),
        ("train.steps", "many", "an integer"),
        ("train.steps", "1.5", "an integer"),
        ("train.steps", True, "=VALUE"),
        ("train.remat", "perhaps", "true or false"),
        ("optimizer.learning_rate", "nan", "finite"),
        ("optimizer.learning_rate", "inf", "finite"),
        ("optimizer.boundaries", "('a',)", "a tuple"),
        ("optimizer.boundaries", "(1e999,)", "a tuple"),
        ("dataset.input_size", "(1.5, 2)", "a tuple"),
        ("train", "3", "section"),
        ("train", "{1: 2}", "section"),
        ("train", "{'steps': 3}", "lacks .* keys"),
        ("model", "{}", "no model.name"),
        ("model", "{'name': 'image', 'x': float}", "section"),
    ],
)
def test_an_override_at_fault(key, value, message):
    config = jmpose.get_config("tiny")
    with pytest.raises(InputError, match=message) as error:
        override(config, {key: value})
    assert f"--config.{key}" in str(error.value)


@pytest.mark.parametrize(
    "flag, meant",
    [
        ("train.steps", "did you mean --config.train.steps"),
        ("model.width", "did you mean --config.model.width"),
        ("steps", "did you mean --config.train.steps"),
        ("batch_size", "--config.eval.batch_size or --config.train.batch_size"),
        ("workdri", "workdir"),
    ],
)
def test_a_flag_that_is_a_key_of_the_config(flag, meant, read):
    with pytest.raises(InputError, match=meant) as error:
        read("--config=configs/backbone.py:tiny", f"--{flag}=3")
    assert f"{flag}" in str(error.value) and ("--config." in str(error.value)) == (flag != "workdri")


def test_a_file_is_read_and_changed(read):
    config, rest = read("--config=configs/backbone.py:tiny", "--config.train.steps=3")
    assert config.train.steps == 3 and config.is_locked and rest == ["jmpose example"]
    assert flags.FLAGS["config"].config_filename == "configs/backbone.py:tiny"


def test_the_config_of_the_workdir_is_taken_and_changed(read, tmp_path):
    expected = run_at(tmp_path / "run", steps=11)
    config, _ = read(f"--workdir={tmp_path / 'run'}", needed=("workdir",))
    assert config.to_dict() == expected.to_dict()


def test_overrides_change_the_config_of_the_workdir(read, tmp_path):
    run_at(tmp_path / "run", steps=11)
    config, _ = read(f"--workdir={tmp_path / 'run'}", "--config.optimizer.boundaries=(1.0,)", "--config.train.steps=12")
    assert config.train.steps == 12 and config.optimizer.boundaries == (1.0,)


def test_the_config_beside_the_checkpoint_comes_before_the_workdirs(read, tmp_path):
    run_at(tmp_path / "a", steps=1)
    run_at(tmp_path / "b", steps=2)
    (tmp_path / "b" / "checkpoints" / "9" / "variables").mkdir(parents=True)
    config, _ = read(f"--workdir={tmp_path / 'a'}", f"--checkpoint={tmp_path / 'b' / 'checkpoints' / '9'}")
    assert config.train.steps == 2


def test_a_config_that_is_given_comes_first(read, tmp_path):
    run_at(tmp_path / "run", steps=11)
    config, _ = read(f"--workdir={tmp_path / 'run'}", "--config=configs/jmpose.py")
    assert config.model.name == "jmpose"


@pytest.mark.parametrize(
    "place, message",
    [
        ("none", "no config.json of a run; give a file of configs/"),
        ("several", r"it holds the runs .*several/backbone, .*several/jmpose: give one"),
    ],
)
def test_a_workdir_without_a_config(place, message, read, tmp_path):
    run_at(tmp_path / "several" / "jmpose")
    run_at(tmp_path / "several" / "backbone")
    with pytest.raises(InputError, match=message) as error:
        read(f"--workdir={tmp_path / place}", needed=("workdir",))
    assert f"--workdir={tmp_path / place}" in str(error.value)


def test_all_that_is_missing_is_named_at_once(read):
    with pytest.raises(InputError, match="--config and --workdir are missing"):
        read(needed=("workdir",))


def test_overrides_without_a_config(read):
    with pytest.raises(InputError, match="--config.train.steps: there is no config to change"):
        read("--config.train.steps=3")


def test_no_config_is_looked_for_where_none_is_needed(read, tmp_path):
    tmp_path.joinpath("config.json").write_text("garbage")
    with pytest.raises(InputError, match="config.json: not valid JSON"):
        read(f"--workdir={tmp_path}")
    assert read(f"--workdir={tmp_path}", "--ground_truth=x")[0] is None

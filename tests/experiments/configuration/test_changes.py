"""A run that goes on must have the config that it began with, but for where and how fast things are read."""

import json

import pytest

from configs import backbone
from experiments.configuration.changes import check_unchanged
from jmpose_jax.errors import InputError


def as_json(config):
    return json.loads(config.to_json_best_effort())


def test_the_difference_is_shown_and_what_is_free_may_change():
    config = backbone.get_config("tiny")
    before = as_json(config)
    config.dataset.root = "elsewhere"
    config.train.save_every = 7
    check_unchanged(before, as_json(config))
    config.optimizer.learning_rate = 1.0
    config.model.backbone.width = 99
    expected = r"config.model.backbone.width: 16 -> 99; config.optimizer.learning_rate: 0.003 -> 1.0"
    with pytest.raises(InputError, match=expected):
        check_unchanged(before, as_json(config))


def test_of_many_differences_three_are_spelled_out():
    config = backbone.get_config("tiny")
    before = as_json(config)
    for name in ("seed", "loss.sigma", "train.accumulate", "train.batch_size", "optimizer.learning_rate"):
        *section, key = name.split(".")
        node = config[section[0]] if section else config
        node[key] = type(node[key])(77)
    config.optimizer.frozen = tuple(f"a_long_pattern_of_a_path_{i}/" for i in range(30))
    with pytest.raises(InputError, match="and 3 more keys; use another workdir") as error:
        check_unchanged(before, as_json(config))
    assert str(error.value).count("->") == 3 and len(str(error.value)) < 500


@pytest.mark.parametrize("key", ["steps", "epochs"])
def test_more_steps_are_going_on_and_what_that_does_to_the_rate_is_said(key, capsys):
    config = backbone.get_config("tiny")
    before, after = {"steps": (10, 12), "epochs": (10.0, 12.0)}[key]
    config.train[key] = before
    old = as_json(config)
    config.train[key] = after
    check_unchanged(old, as_json(config))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"config.train.{key}: {before} -> {after}" in said and "learning rate" in said
    config.optimizer.schedule = "step"
    old = as_json(config)
    config.train[key] = 2 * after
    check_unchanged(old, as_json(config))
    assert capsys.readouterr().err == ""
    for fewer in (before, type(before)(0)):
        config.train[key] = fewer
        with pytest.raises(InputError, match=f"config.train.{key}: {after} -> {fewer}"):
            check_unchanged(old, as_json(config))


def test_keys_that_an_older_checkpoint_lacks_had_their_defaults():
    config = backbone.get_config("tiny")
    before = as_json(config)
    del before["train"]["ema_decay"]
    check_unchanged(before, as_json(config))
    config.train.ema_decay = 0.5
    with pytest.raises(InputError, match="config.train.ema_decay: 0.0 -> 0.5"):
        check_unchanged(before, as_json(config))

"""A run that goes on must have the config that it began with, but for where and how fast things are read."""

import json

import pytest

from configs import backbone
from experiments.config_changes import check_unchanged
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

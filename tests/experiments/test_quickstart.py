"""The parts of the quickstart that are its own; CI runs the whole of it at scale smoke."""

import json

import pytest

from experiments.quickstart import SCALES, Clock, _claim, equal_time_steps, run, videos_of
from jmpose_jax.errors import InputError


def test_the_control_gets_the_time_of_stage_two():
    amount = SCALES["full"]
    steps = amount.trunk_steps + amount.decay_steps
    assert equal_time_steps(steps * 0.1, 150.0, amount) == 1500
    assert equal_time_steps(1e6, 0.001, amount) == 1


def test_a_finished_part_is_not_run_again(tmp_path):
    calls = []
    Clock(tmp_path / "timing.json").measure("part", lambda: calls.append(1))
    again = Clock(tmp_path / "timing.json")
    again.measure("part", lambda: calls.append(2))
    assert calls == [1]
    assert json.loads((tmp_path / "timing.json").read_text()) == again.seconds

    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        again.measure("other", fails)
    assert "other" not in again.seconds


def test_a_workdir_belongs_to_one_scale_and_seed(tmp_path):
    _claim(tmp_path / "w", "full", 0)
    _claim(tmp_path / "w", "full", 0)
    with pytest.raises(InputError, match="give another folder"):
        _claim(tmp_path / "w", "smoke", 0)


def test_a_changed_config_goes_on_only_where_it_is_allowed(tmp_path, monkeypatch):
    allowed = []

    def train(config, workdir, *, allow_config_change, **options):
        allowed.append(allow_config_change)
        raise InputError("the config is not the one")

    monkeypatch.setattr("experiments.train.train", train)
    monkeypatch.setattr("experiments.quickstart._data", lambda *arguments: None)
    for allow in (False, True):
        with pytest.raises(InputError, match="the config is not the one"):
            run(tmp_path, "smoke", 0, allow)
    assert allowed == [False, True]


def test_training_videos_hold_one_complete_window_and_every_split_is_rendered():
    rendered = {}
    for videos, scene in videos_of(SCALES["smoke"]):
        assert scene.num_frames >= 5
        rendered |= videos
    assert rendered == SCALES["smoke"].videos

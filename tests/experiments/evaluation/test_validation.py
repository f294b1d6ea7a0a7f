"""The AP of a state while training: never of numbers that are none, never silent for long."""

import math

import jax
import numpy as np
import pytest

from experiments.evaluation.validation import make_validation
from experiments.run import clips, data
from experiments.systems import built
from jmpose_jax.errors import InputError
from jmpose_jax.models.registry import create_model
from jmpose_jax.train import sharding
from jmpose_jax.train.state import TrainState


@pytest.fixture
def state(small_backbone):
    model = create_model(small_backbone.model)
    shapes = jax.eval_shape(lambda batch: model.init(jax.random.key(0), batch), clips.spec(small_backbone))
    rng = np.random.default_rng(0)
    values = jax.tree.map(lambda leaf: rng.uniform(0.1, 0.2, leaf.shape).astype(leaf.dtype), shapes)
    return TrainState(step=0, params=values["params"], batch_stats=values["batch_stats"], opt_state=())


def test_progress_is_told_and_what_is_not_finite_has_no_ap(small_backbone, state, capsys):
    validate = make_validation(small_backbone, built(small_backbone), sharding.data_mesh(), quiet=False)
    assert 0 <= validate(state)["ap"] <= 100
    assert "validate: compiling" in capsys.readouterr().err
    broken = state.replace(params=jax.tree.map(lambda x: x * np.nan, state.params))
    assert math.isnan(validate(broken)["ap"])
    assert "compiling" not in capsys.readouterr().err


def test_a_split_without_annotations_is_named_before_training(small_backbone, monkeypatch, tmp_path):
    small_backbone.dataset.eval_split = "vall"
    with pytest.raises(InputError, match="vall"):
        make_validation(small_backbone, built(small_backbone), sharding.data_mesh())
    monkeypatch.setattr(data, "dataset_root", lambda config: tmp_path)
    with pytest.raises(InputError):
        make_validation(small_backbone, built(small_backbone), sharding.data_mesh())

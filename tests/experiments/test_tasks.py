"""What a config's kind of model decides of its training."""

import dataclasses

import pytest
from ml_collections import ConfigDict

from configs import backbone, jmpose, raft_synthetic
from experiments.tasks import task_of
from jmpose_jax import losses
from jmpose_jax.errors import InputError


def test_each_kind_of_model_has_its_loss_and_weights():
    tasks = {name: task_of(module.get_config()) for name, module in
             {"image": backbone, "jmpose": jmpose, "raft": raft_synthetic}.items()}  # fmt: skip
    assert tasks["raft"].loss.func is losses.flow_losses and tasks["raft"].loss.keywords == {"gamma": 0.8}
    assert tasks["raft"].loss_weights == {"sequence": 1.0, "endpoint_error": 0.0}
    assert tasks["image"].loss.func is tasks["jmpose"].loss.func is losses.compute
    assert tasks["image"].loss_weights == {"heatmap": 100.0}
    assert set(tasks["jmpose"].loss_weights) == {"heatmap", "relevancy", "complement", "redundancy", "predictor_fit"}


def test_alpha_multiplies_the_information_terms_alone():
    config = jmpose.get_config()
    before = task_of(config).loss_weights
    config.loss.alpha = 2.0
    after = task_of(config).loss_weights
    assert after["relevancy"] == pytest.approx(2 * before["relevancy"]) and after["heatmap"] == before["heatmap"]


def test_only_jmpose_is_told_of_estimators_and_only_of_others_than_the_default():
    config = jmpose.get_config()
    assert task_of(config).config == config
    config.loss.estimators.redundancy = "club"
    told = task_of(config)
    assert told.config.model.estimators.redundancy == "club" and "estimators" not in config.model
    assert told.loss.keywords["estimators"] == dict(config.loss.estimators)

    image = backbone.get_config()
    image.loss.estimators.redundancy = "club"
    assert task_of(image).config is image


def test_an_unknown_estimator_is_named():
    config = jmpose.get_config()
    config.loss.estimators = ConfigDict({"redundancy": "guess"})
    with pytest.raises(InputError, match="guess"):
        task_of(config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task_of(jmpose.get_config()).config = config

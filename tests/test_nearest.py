"""The key that was probably meant."""

import pytest

from configs import jmpose
from experiments.configuration.changes import flatten
from jmpose_jax.nearest import nearest_key, nearest_keys

KNOWN = [key for key, _ in flatten(jmpose.get_config("tiny").to_dict())]


@pytest.mark.parametrize(
    "given, meant",
    [
        ("train.learning_rate", "optimizer.learning_rate"),
        ("batch_size", "eval.batch_size"),
        ("train.batchsize", "train.batch_size"),
        ("train.step", "train.steps"),
        ("optimiser.name", "optimizer.name"),
        ("optimizer.lr", "optimizer.learning_rate"),
        ("model.width", "model.backbone.width"),
        ("data.root", "dataset.root"),
        ("weights.heatmap", "loss.weights.heatmap"),
        ("learning_rat", "optimizer.learning_rate"),
        ("colour", None),
        ("train.zzz", None),
        ("", None),
    ],
)
def test_the_nearest_key_of_the_whole_config(given, meant):
    assert nearest_key(given, KNOWN) == meant


@pytest.mark.parametrize(
    "given, meant",
    [
        ("batch_size", {"train.batch_size", "eval.batch_size"}),
        ("data.batch_size", {"train.batch_size", "eval.batch_size"}),
        ("trian.batch_size", {"train.batch_size"}),
        ("optimiser.name", {"optimizer.name"}),
        ("dataset.split", {"dataset.train_split", "dataset.eval_split"}),
        ("optimizer.decay", {"optimizer.weight_decay", "optimizer.decay_factor", "optimizer.decay_steps"}),
        ("train.learning_rate", {"optimizer.learning_rate"}),
        ("kind", {"model.motion_encoder.kind", "model.mutual_learning.kind", "model.context_aware_joint_learner.kind"}),
        ("colour", set()),
        ("", set()),
    ],
)
def test_keys_that_are_equally_near_are_all_named(given, meant):
    found = nearest_keys(given, KNOWN)
    assert set(found) == meant and len(found) == len(meant)


def test_nothing_is_near_where_nothing_is_known():
    assert nearest_key("train.steps", []) is None

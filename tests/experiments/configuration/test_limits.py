"""Numbers that make no sense are refused by name."""

import pytest

from configs import backbone, common, jmpose, raft_synthetic
from experiments.configuration.limits import ABOVE_0, LEAST, LEAST_SIZES, MAY_BE_0, check_limits, check_sizes
from jmpose_jax.errors import InputError


@pytest.mark.parametrize("module", [backbone, jmpose, raft_synthetic])
def test_the_configs_lie_within_the_limits(module):
    check_limits(module.get_config())


@pytest.mark.parametrize("key", LEAST)
def test_less_than_the_least_is_named(key):
    config = common.base()
    section, name = key.split(".")
    config[section][name] = type(config[section][name])(LEAST[key] - 1)
    with pytest.raises(InputError, match=f"config.{key}=.* must be at least {LEAST[key]}"):
        check_limits(config)


def test_an_average_that_never_moves_and_a_run_without_steps_are_refused():
    config = common.base()
    config.train.ema_decay = 1.0
    with pytest.raises(InputError, match="ema_decay=1.0 must be below 1"):
        check_limits(config)
    config.train.ema_decay = 0.0
    config.train.epochs = 0.0
    with pytest.raises(InputError, match="epochs=0.0 must be positive"):
        check_limits(config)


def test_a_backbone_to_be_trained_must_not_be_frozen():
    config = jmpose.get_config()
    config.model.backbone_trainable = True
    with pytest.raises(InputError, match="backbone_trainable=True, but config.optimizer.frozen holds 'backbone/'"):
        check_limits(config)
    config.optimizer.frozen = ("flow_network/",)
    check_limits(config)


SIZES = [
    "model.channels", "model.mutual_learning.num_layers", "model.context_aware_joint_learner.offset_groups",
    "model.mutual_learning.qkv_kernel", "model.mutual_learning.heads", "model.backbone.width",
    "model.backbone.num_joints", "model.backbone.stem_blocks", "model.fusion.num_blocks", *MAY_BE_0, *LEAST_SIZES,
]  # fmt: skip


@pytest.mark.parametrize("key", SIZES)
def test_sizes_that_no_array_has_are_named(key):
    least = LEAST_SIZES.get(key, int(key not in MAY_BE_0))
    *path, name = key.split(".")
    for value in (least - 1, -3, least):
        config = jmpose.get_config()
        config.unlock()
        section = config
        for part in path:
            section = section[part]
        section[name] = (value, 96) if name == "input_size" else value
        if value == least:
            check_sizes(config)
            continue
        with pytest.raises(InputError, match=f"config.{key}=.* at least {least}"):
            check_limits(config)


@pytest.mark.parametrize("name", ["stem_features", "stage_modules"])
def test_sizes_in_tuples_are_looked_at(name):
    config = backbone.get_config("tiny")
    config.model.backbone[name] = (0, 16)
    with pytest.raises(InputError, match=f"config.model.backbone.{name}=.* must each be at least 1"):
        check_limits(config)


@pytest.mark.parametrize("key", ABOVE_0)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_factors_are_above_0(key, value):
    config = jmpose.get_config()
    config.unlock()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=f"config.{key}=.* above 0"):
        check_limits(config)


def test_a_crop_has_two_sides():
    config = backbone.get_config()
    config.dataset.input_size = (64, 64, 64)
    with pytest.raises(InputError, match="config.dataset.input_size=.* two numbers"):
        check_sizes(config)

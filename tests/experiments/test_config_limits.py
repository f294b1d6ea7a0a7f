"""Numbers that make no sense are refused by name."""

import pytest

from configs import backbone, common, jmpose, raft_synthetic
from experiments.config_limits import LEAST, check_limits
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

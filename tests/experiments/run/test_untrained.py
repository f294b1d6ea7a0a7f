"""Frozen parts with random values are named, before a training that leaves them so."""

import pytest

from configs import jmpose
from experiments.run.untrained import untrained

PARAMS = {"backbone": {"conv1": {"kernel": 0}, "conv2": {"kernel": 0}}, "head": {"kernel": 0}}


@pytest.mark.parametrize(
    "frozen, init, named",
    [
        (("backbone/", "flow_network/"), {}, ["backbone"]),
        (("backbone/", "flow_network/"), {"backbone": "runs/backbone"}, []),
        (("backbone/conv1",), {}, ["backbone"]),
        (("head", "backbone/"), {}, ["backbone", "head"]),
        ((".*",), {"backbone": "runs/backbone"}, ["head"]),
        (("conv1",), {}, []),
        ((), {}, []),
    ],
)
def test_what_is_frozen_and_has_no_checkpoint(frozen, init, named):
    config = jmpose.get_config("tiny")
    config.optimizer.frozen = frozen
    config.init.update(init)
    lines = untrained(PARAMS, config)
    assert [line.split()[0] for line in lines] == named
    for part, line in zip(named, lines, strict=True):
        assert f"config.init.{part}" in line and "\n" not in line
        assert (f"--config.init.{part}=" in line) == (part in config.init)

"""The commands for many hosts in docs/clusters.md: their flags exist, their config and their batch hold."""

import pathlib
import re
import shlex

from absl import flags

from configs import jmpose
from experiments.command import hosts
from experiments.configuration.limits import check_limits

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "clusters.md"


def test_the_recipes_for_many_hosts_hold():
    section = PAGE.read_text().split("# Many hosts")[1].split("```sh\n")[1].split("```")[0]
    (given,) = re.findall(r'^TRAIN="(.*?)"$', section, re.MULTILINE | re.DOTALL)
    words = shlex.split(given.replace("\\\n", " "))
    assert words[:2] == ["--config", "configs/jmpose.py:paper"]
    config = jmpose.get_config("paper")
    for key, value in (word[9:].split("=") for word in words if word.startswith("--config.")):
        section_name, name = key.split(".")
        config[section_name][name] = type(config[section_name][name])(value)
    check_limits(config)
    assert config.init.backbone and config.init.flow_network  # without them the paper's config is refused
    nodes, gpus = re.search(r"--nodes=(\d+) .*--gpus-per-node=(\d+)", section).groups()
    assert config.train.batch_size % (int(nodes) * int(gpus)) == 0

    commands = re.findall(r"jmpose train (.*?)(?:\$TRAIN)", section)
    assert len(commands) == 3
    before = set(flags.FLAGS)
    try:
        hosts.define_flags()
        defined = set(flags.FLAGS) - before
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
    assert {name for command in commands for name in re.findall(r"--(\w+)", command)} <= defined

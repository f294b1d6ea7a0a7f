"""A prepared data set and configs small enough that a whole run takes seconds."""

import pathlib
import shutil

import pytest
from ml_collections import ConfigDict

from benchmarks import small_run
from configs import backbone, jmpose


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A few rendered videos as shards."""
    return small_run.prepare(tmp_path_factory.mktemp("embedded"))


@pytest.fixture
def shrink():
    """Function of a config and a data set's folder that makes both small."""
    return small_run.shrink


@pytest.fixture
def small_backbone(prepared) -> ConfigDict:
    return small_run.shrink(backbone.get_config("tiny"), prepared)


@pytest.fixture(scope="session")
def finished_run(prepared, tmp_path_factory) -> pathlib.Path:
    """The workdir of `small_backbone`, trained; not to be written into."""
    from experiments.train import train

    folder = tmp_path_factory.mktemp("finished") / "run"
    train(small_run.config(prepared), folder, quiet=True)
    return folder


@pytest.fixture
def trained(finished_run, tmp_path) -> pathlib.Path:
    """A copy of `finished_run`, to be written into."""
    return shutil.copytree(finished_run, tmp_path / "run")


@pytest.fixture
def small_jmpose(prepared) -> ConfigDict:
    config = small_run.shrink(jmpose.get_config("tiny"), prepared)
    config.model.channels = 4  # the parts' other sizes are small already
    return config

"""A prepared data set and configs small enough that a whole run takes seconds."""

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


@pytest.fixture
def small_jmpose(prepared) -> ConfigDict:
    config = small_run.shrink(jmpose.get_config("tiny"), prepared)
    config.model.channels = 4  # the parts' other sizes are small already
    return config

"""The world that the mutations start from, built once."""

import pytest

from tests.everything.world import build


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return build(tmp_path_factory.mktemp("world"))

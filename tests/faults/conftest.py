"""What the fault tests share: rendered clips as shards, and a server that starts processes quickly."""

import pytest

from benchmarks import faults, small_run


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A few rendered videos as shards."""
    return small_run.prepare(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="session")
def context():
    """A multiprocessing context whose processes begin with the libraries imported."""
    return faults.server()

"""What every test shares: a small machine's settings, and the folder of real samples where it is present."""

import gc
import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What was compiled once is found again: by the other workers, by commands that tests start, by the next run.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path.home() / ".cache" / "jmpose_jax" / "tests"))
# Small programs too: most of the tests' time went into thousands of them.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# LLVM's optimisation was a third of the rest; the graphs are XLA's usual ones.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest

from tests.browser import browser_page  # noqa: F401

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
jax.config.update("jax_default_matmul_precision", "highest")


def pytest_collection_finish(session):
    """Look for garbage rarely, and never among what was imported: it took a tenth of the time of tracing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of real samples and official outputs beside the repository; tests that need it skip without it."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no samples: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Golden numbers that travel with the repository."""
    return REPOSITORY / "tests" / "golden"


@pytest.fixture(scope="session")
def tiny_run():
    """`run(**settings)` of tests/tiny_run.py, in this process."""
    from tests.tiny_run import run

    return run

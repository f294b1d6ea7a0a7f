"""What every test shares: a small machine's settings, and the folder of real samples where it is present."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
jax.config.update("jax_default_matmul_precision", "highest")


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

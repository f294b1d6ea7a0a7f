"""The tiny training of `tests/tiny_run.py`, in this process."""

import importlib.util
import pathlib

import pytest


@pytest.fixture(scope="session")
def tiny_run():
    """`run(**settings)` of tests/tiny_run.py."""
    path = pathlib.Path(__file__).resolve().parents[1] / "tiny_run.py"
    spec = importlib.util.spec_from_file_location("tiny_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run

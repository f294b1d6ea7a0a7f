"""Compiled programs that are kept between runs."""

import os
import subprocess
import sys

import pytest

from experiments.command import compiled

PROGRAM = """
import {first}
from experiments.command.compiled import keep_compiled
print(keep_compiled())
import jax
jax.jit(lambda x: jax.numpy.sin(x) @ x)(jax.numpy.ones((5, 5)))
"""


def started(home, first, **more):
    """What a process that keeps its programs prints; `first` is what it has imported before."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")} | {
        "JMPOSE_HOME": str(home),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        **more,
    }
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("first", ["sys", "jax"])
def test_programs_are_kept_below_the_home_of_the_user(tmp_path, first):
    said = started(tmp_path, first)
    folder = tmp_path / "compiled" / compiled.machine()
    assert said == str(folder)
    assert [path for path in folder.iterdir() if path.name.endswith("-cache")]


def test_jax_has_the_switch_and_the_place(tmp_path):
    started(tmp_path / "off", "sys", JAX_ENABLE_COMPILATION_CACHE="false")
    assert not list(tmp_path.glob("off/compiled/*/*-cache"))
    said = started(tmp_path / "home", "sys", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "other"))
    assert said == str(tmp_path / "other") and list((tmp_path / "other").iterdir())
    assert not (tmp_path / "home").exists()


def test_a_home_that_cannot_be_written_ends_no_run(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "file"))
    assert compiled.keep_compiled() is None

"""Where files of the user outside any workdir are kept: published weights and compiled programs."""

import os
import pathlib


def home() -> pathlib.Path:
    """`JMPOSE_HOME`, by default `~/.cache/jmpose_jax`."""
    place = os.environ.get("JMPOSE_HOME")
    return pathlib.Path(place) if place else pathlib.Path.home() / ".cache" / "jmpose_jax"

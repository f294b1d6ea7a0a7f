"""Finished quickstarts as the values of a grid's axis of seeds: each has its own data and its own backbone."""

import json
import pathlib
from typing import Any

from jmpose_jax.errors import InputError


def world(quickstart: pathlib.Path) -> dict[str, Any]:
    """A quickstart's data, backbone and seed as a value of a grid's axis.

    Args:
      quickstart: workdir of a finished `jmpose quickstart`.

    Returns:
      Flat config key -> value, with the "name" that tables give it.

    Raises:
      InputError: the folder holds no quickstart.
    """
    claim = quickstart / "quickstart.json"
    if not claim.is_file():
        raise InputError(f"--quickstarts {quickstart} holds no quickstart.json: give workdirs of `jmpose quickstart`")
    seed = json.loads(claim.read_text())["seed"]
    folder = quickstart.resolve()
    parts = {"dataset.root": str(folder / "data" / "prepared"), "init.backbone": str(folder / "backbone")}
    return {"name": str(seed), "seed": seed, **parts}

"""Finished quickstarts as the values of a grid's axis of seeds: each has its own data and its own backbone."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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


def paired(ap: Mapping[str, float], reference: Mapping[str, float]) -> tuple[dict[str, float], float | None]:
    """Differences from the reference of the same seed, and their mean; None where no seed has both."""
    found = {seed: value - reference[seed] for seed, value in ap.items() if seed in reference}
    return found, float(np.mean(list(found.values()))) if found else None


def shown(ap: Mapping[str, float], differences: Mapping[str, float], seeds: Sequence[str]) -> list[str]:
    """A row of a table: AP of every seed, in brackets its difference where one is given."""
    signed = {seed: f" ({value:+.1f})" for seed, value in differences.items()}
    return [f"{ap[seed]:.1f}{signed.get(seed, '')}" if seed in ap else "–" for seed in seeds]

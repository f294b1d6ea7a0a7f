"""A grid as data: from `get_grid()` to cells with overrides, labels, an id and a folder each."""

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from experiments.configuration.changes import flatten
from experiments.configuration.files import did_you_mean
from experiments.grids.claims import check_claim
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json

SEED = "seed"
RESERVED = ("name", "paper")  # of an axis value that is a mapping: its label, and the paper's figure to stand beside
PAPER, CLAIMS = "paper", "claims"  # of a grid: the figures of its table, cell by cell, and what the paper says of them


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
      index: place in the grid.
      id: of the config with the overrides; two cells with one id are the same run.
      overrides: flat config key -> value.
      labels: axis -> what the tables call the value.
      paper: the figure that the paper gives for it, if any.
    """

    index: int
    id: str
    overrides: dict[str, Any]
    labels: dict[str, str]
    paper: float | None = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """A config and the cells that depart from it.

    Attributes:
      base: the config as plain data.
      axes: axis -> labels in order.
      cells: all of them, the last axis running fastest.
      claims: what the paper says of its table, see `experiments.grids.claims`.
    """

    base: dict[str, Any]
    axes: dict[str, list[str]]
    cells: list[Cell]
    claims: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def config(self, cell: Cell) -> ConfigDict:
        """The config of one cell."""
        return override(self.base, cell.overrides)


def expand(config: Mapping[str, Any], grid: Mapping[str, Any]) -> Grid:
    """All cells of a grid.

    Args:
      config: plain data, as `experiments.train.plain` makes it.
      grid: axis -> values. An axis is a flat config key and its values what the key takes; or any name, and its values
        are mappings of flat keys to values with a "name" for the tables and, where there is one, the "paper"'s figure.
        Two names are no axes: "paper" holds the figures of a whole table, nested as the axes are (the seed apart), and
        "claims" what the paper says of them.

    Returns:
      The grid, cells in the order of `itertools.product`.

    Raises:
      InputError: the grid is empty, a key is not one of the config or is set by two axes, or a value is of the wrong
        type.
    """
    if grid is not None and not isinstance(grid, Mapping):
        raise InputError(f"get_grid() gives a {type(grid).__name__}; it must give a dict {{config key: values}}")
    if not grid or grid.keys() <= {PAPER, CLAIMS}:
        raise InputError("the grid is empty: get_grid() gives no axis; give {config key: values}")
    axes: dict[str, list[tuple[str, dict[str, Any], float | None]]] = {}
    for axis, values in ((axis, values) for axis, values in grid.items() if axis not in (PAPER, CLAIMS)):
        if not isinstance(axis, str):
            raise InputError(f"the grid's axis {axis!r} is no name; give a config key or any other text")
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise InputError(f"the grid's axis {axis!r} is {values!r}; give a list of values, e.g. (0.0, 1.0)")
        values = list(values)
        if not values:
            raise InputError(f"the grid is empty: its axis {axis!r} has no values")
        axes[axis] = [_value(axis, value) for value in values]
        labels = [label for label, _, _ in axes[axis]]
        if len(set(labels)) < len(labels):
            raise InputError(f"the grid's axis {axis!r} has a value twice: {', '.join(labels)}")
    table = _table(grid.get(PAPER), {axis: values for axis, values in axes.items() if axis != SEED})
    claims = grid.get(CLAIMS, ())
    if not isinstance(claims, list | tuple) or not all(isinstance(claim, Mapping) for claim in claims):
        raise InputError(f"the grid's 'claims' are {claims!r}; give a list of mappings, each with 'says' and 'kind'")
    claims = [dict(claim) for claim in claims]
    for claim in claims:
        check_claim(claim, {axis: [value[0] for value in values] for axis, values in axes.items() if axis != SEED})
    known = {key for key, _ in flatten(config)}
    owner: dict[str, str] = {}
    for axis, key in ((axis, key) for axis, values in axes.items() for _, part, _ in values for key in part):
        if owner.setdefault(key, axis) != axis:
            raise InputError(f"the grid's axes {owner[key]!r} and {axis!r} both set {key!r}: leave it to one of them")
    cells = []
    for index, values in enumerate(itertools.product(*axes.values())):
        overrides = {key: v for _, part, _ in values for key, v in part.items()}
        for key in overrides:
            _check_key(key, known)
        digest = _digest(config, overrides)
        labels = dict(zip(axes, (label for label, _, _ in values)))
        papers = [paper for _, _, paper in values if paper is not None]
        place = tuple(label for axis, label in labels.items() if axis != SEED)
        cells.append(Cell(index, digest, overrides, labels, papers[0] if papers else table.get(place)))
    return Grid(dict(config), {axis: [v[0] for v in values] for axis, values in axes.items()}, cells, claims)


def _table(figures: Any, axes: Mapping[str, list[tuple]]) -> dict[tuple[str, ...], float]:
    """The paper's figure of every place, from a table nested as the axes are.

    Raises:
      InputError: it has another form.
    """
    if figures is None:
        return {}
    sizes = [len(values) for values in axes.values()]
    table = np.asarray(figures, dtype=object)
    if list(table.shape) != sizes:
        raise InputError(f"the grid's 'paper' has the form {list(table.shape)}, its axes {sizes}: give a figure a cell")
    places = itertools.product(*([value[0] for value in values] for values in axes.values()))
    return {place: checks.typed(v, float, "the grid's 'paper'") for place, v in zip(places, table.ravel().tolist())}


def _digest(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> str:
    """The id of a cell: what it runs, whichever grid it stands in."""
    resolved = override(config, overrides).to_dict()
    try:
        text = json.dumps(resolved, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the grid's values {dict(overrides)!r} cannot be written as JSON ({error})") from None
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _value(axis: str, value: Any) -> tuple[str, dict[str, Any], float | None]:
    """Label, overrides and the paper's figure of a value of an axis."""
    if isinstance(value, Mapping):
        if "name" not in value:
            raise InputError(f'the grid\'s axis {axis!r} has a value without a "name": {dict(value)}')
        overrides = {k: v for k, v in value.items() if k not in RESERVED}
        if strange := [key for key in overrides if not isinstance(key, str)]:
            raise InputError(f"the grid's axis {axis!r} has the key {strange[0]!r}, which is no text")
        paper = value.get("paper")
        where = f"the grid's axis {axis!r}, value {value['name']!r}: 'paper'"
        return str(value["name"]), overrides, None if paper is None else checks.typed(paper, float, where)
    return f"{value:g}" if isinstance(value, float) else str(value), {axis: value}, None


def _check_key(key: str, known: set[str]) -> None:
    if key not in known:
        raise InputError(f"the grid has the key {key!r}, the config does not{did_you_mean(key, known)}")


def override(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> ConfigDict:
    """The config of plain data with some values changed; types are checked.

    Raises:
      InputError: a value is of another type than the config's.
    """
    config = ConfigDict(json.loads(json.dumps(base)))
    for key, value in overrides.items():
        try:
            config.update_from_flattened_dict({key: list(value) if isinstance(value, tuple) else value})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"the grid gives {key!r} the value {value!r}: {error}") from None
    return config


def claim(workdir: pathlib.Path, grid: Grid) -> None:
    """Note in `grid.json` what a workdir is for.

    Raises:
      InputError: it holds another grid, or a `grid.json` that is none.
    """
    path = workdir / "grid.json"
    described = [dataclasses.asdict(cell) for cell in grid.cells]
    mine = {"config": grid.base, "axes": grid.axes, "cells": described, "claims": grid.claims}
    mine = json.loads(json.dumps(mine))
    if os.path.lexists(path):
        theirs = _read(path)
        if [c.id for c in theirs.cells] != [c.id for c in grid.cells]:
            difference = _difference(theirs, mine)
            raise InputError(f"--workdir {workdir} holds another grid ({difference}); give another folder")
        return
    write_json(path, mine)


def _difference(theirs: Grid, mine: Mapping[str, Any]) -> str:
    if theirs.axes != mine["axes"]:
        return f"its axes are {theirs.axes}, these {mine['axes']}"
    here, there = dict(flatten(mine["config"])), dict(flatten(theirs.base))
    for key in {**there, **here}:
        if here.get(key) != there.get(key):
            return f"its config.{key} is {there.get(key)!r}, here {here.get(key)!r}"
    return "the overrides of its cells differ"


def _read(path: pathlib.Path) -> Grid:
    """The grid in a file.

    Raises:
      InputError: it is no grid's.
    """
    try:
        content = checks.read_json(path)
        axes = {
            axis: [checks.typed(label, str, f"{path}: axes {axis!r}") for label in checks.typed(labels, list, axis)]
            for axis, labels in checks.field(content, "axes", dict, str(path)).items()
        }
        cells = checks.field(content, "cells", list, str(path))
        base = checks.field(content, "config", dict, str(path))
        claims = checks.field(content, "claims", list, str(path), [])
        for said in claims:
            check_claim(checks.typed(said, dict, f"{path}: claims"), {a: v for a, v in axes.items() if a != SEED})
        cells = [_cell(cell, axes, f"{path}: cells[{i}]") for i, cell in enumerate(cells)]
        grid = Grid(base, axes, cells, claims)
        if not axes or [cell.index for cell in grid.cells] != list(range(len(grid.cells))) or not grid.cells:
            raise InputError(f"{path}: its cells are not those of its axes")
    except InputError as fault:
        raise InputError(f"{path} is damaged or of another program ({fault}); give another --workdir") from None
    return grid


def _cell(content: Any, axes: Mapping[str, list[str]], where: str) -> Cell:
    identity = checks.field(content, "id", str, where)
    if not re.fullmatch("[0-9a-f]{12}", identity):  # it names a folder
        raise InputError(f"{where}: 'id' is no cell's")
    labels = checks.field(content, "labels", dict, where)
    if labels.keys() != axes.keys() or any(labels[axis] not in axes[axis] for axis in axes):
        raise InputError(f"{where}: 'labels' are not of the grid's axes")
    return Cell(
        index=checks.field(content, "index", int, where),
        id=identity,
        overrides=checks.field(content, "overrides", dict, where),
        labels=labels,
        paper=checks.field(content, "paper", float, where, None),
    )


def load(workdir: pathlib.Path) -> Grid:
    """The grid that a workdir holds.

    Raises:
      InputError: it holds none.
    """
    path = workdir / "grid.json"
    if not os.path.lexists(path):
        raise InputError(f"--workdir {workdir} holds no grid: it has no grid.json; give --config=FILE as well")
    return _read(path)

"""Imports go one way: experiments, then data_pipeline, then jmpose_jax; and no module imports itself by others."""

import ast
import graphlib
import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
FLOORS = ("jmpose_jax", "data_pipeline", "configs", "experiments", "benchmarks", "tests")  # none imports a later one
HEAVY = ("torch", "tensorflow", "tensorflow_datasets")  # of extras


def modules():
    return {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
        for floor in FLOORS[:-1]
        for path in sorted((REPOSITORY / floor).rglob("*.py"))
    }


def imports(path, known, nested=True):
    """The modules of the project that one imports, where it stands or within functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found


@pytest.fixture(scope="module")
def graph():
    known = modules()
    return {name: {each for each in imports(path, known) if each in known} for name, path in known.items()}


def test_no_floor_imports_a_higher_one(graph):
    up = [
        (name, each)
        for name, found in graph.items()
        for each in found
        if FLOORS.index(each.split(".")[0]) > FLOORS.index(name.split(".")[0])
    ]
    assert up == []


def test_no_module_imports_itself_by_others(graph):
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_what_is_heavy_is_imported_where_it_is_needed():
    known = modules()
    heavy = {
        name: found
        for name, path in known.items()
        if name.split(".")[0] in ("jmpose_jax", "data_pipeline", "experiments")
        and name != "data_pipeline.formats.tfds_posetrack"
        and (found := {each.split(".")[0] for each in imports(path, known, nested=False)} & set(HEAVY))
    }
    assert heavy == {}

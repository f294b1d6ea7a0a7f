"""What the cells of a grid are measured by: that of their system."""

from ml_collections import ConfigDict

from experiments.evaluation.measure import Measure
from experiments.evaluation.validation import check_average
from experiments.grids.cells import Grid
from experiments.systems import evaluation_of, objective_of
from jmpose_jax.errors import InputError


def measure_of(grid: Grid) -> Measure:
    """What a grid's cells are measured by.

    Raises:
      InputError: the cells' systems have different measures, which no figure compares.
    """
    base = grid.base.get("model", {}).get("name")
    names = {cell.overrides.get("model.name", base) for cell in grid.cells}
    measures = {name: evaluation_of({"model": {"name": name}}).MEASURE for name in names}
    if len({measure.name for measure in measures.values()}) > 1:
        found = ", ".join(f"{name} by {measure.name}" for name, measure in sorted(measures.items()))
        raise InputError(
            f"the grid's cells are measured differently ({found}), and no figure compares them; make two grids"
        )
    return next(iter(measures.values()))


def check_evaluable(config: ConfigDict) -> None:
    """Raises InputError where a cell's loss is none, or it could not be evaluated once it is trained."""
    objective_of(config)
    evaluation_of(config).check(config)
    check_average(config)

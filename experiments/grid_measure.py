"""What the cells of a grid are measured by: mean AP of poses, or the endpoint error of RAFT's flow."""

import dataclasses
import math
import pathlib
from typing import Any

from ml_collections import ConfigDict

from experiments.grid_cells import Grid
from jmpose_jax.errors import InputError
from jmpose_jax.files import finite_or_none


@dataclasses.dataclass(frozen=True)
class Measure:
    """A measure and what differences of it mean.

    Attributes:
      name: in tables and pictures.
      unit: of the figures.
      field: of `cell.json` and, before a slash, of the columns of `grid.csv`.
      total: the column that ranks the cells.
      columns: the others that a table shows.
      digits: behind the point.
      sign: 1 where more is better, -1 where less is.
      one_seed: the least difference of two cells that counts, where each has one seed. For AP it is what rows of
        configs/jmpose_ablation.py differ by in one of three seeds whose means are equal (see the README).
      many_seeds: the least one that counts where the seeds themselves tell the noise; less than what is shown.
      scale: least range of the heat map's colours.
    """

    name: str
    unit: str
    field: str
    total: str
    columns: tuple[str, ...]
    digits: int
    sign: int
    one_seed: float
    many_seeds: float
    scale: float

    def shown(self, value: float) -> str:
        """A figure as tables and pictures show it."""
        return "–" if math.isnan(value) else f"{value:.{self.digits}f}"


POSES = Measure("mAP", "%", "ap", "Total", ("Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl"), 1, 1, 0.5, 0.1, 1.0)
# How much a seed matters to the endpoint error has not been measured; a twentieth of a pixel moves no pose.
FLOW = Measure("endpoint error", "px", "endpoint_error", "all", ("moving",), 3, -1, 0.05, 0.005, 0.1)


def measure_of(grid: Grid) -> Measure:
    """What a grid's cells are measured by.

    Raises:
      InputError: some cells estimate poses, others flow: no figure compares them.
    """
    base = grid.base.get("model", {}).get("name") if isinstance(grid.base.get("model"), dict) else None
    flows = {cell.overrides.get("model.name", base) == "raft" for cell in grid.cells}
    if len(flows) > 1:
        raise InputError("the grid has cells of RAFT and of poses, which no figure compares; make two grids of them")
    return FLOW if flows == {True} else POSES


def check_evaluable(config: ConfigDict) -> None:
    """Raises InputError where a cell could not be evaluated once it is trained."""
    from experiments import data
    from experiments.trained_config import check_eval
    from experiments.validation import check_average

    dataset = config.dataset
    if config.model.name == "raft":
        if dataset.flow_source != "exact":
            raise InputError(f"config.dataset.flow_source={dataset.flow_source!r}: endpoint errors need exact")
    else:
        check_eval(config)
        check_average(config)
    folder, split = data.dataset_root(config), dataset.eval_split
    needed = [folder / f"clips-{split}.npz"]
    if config.model.name != "raft":
        needed.append(folder / "annotations" / split)
    for path in needed:
        if not path.exists():
            there = ", ".join(sorted(p.stem.removeprefix("clips-") for p in folder.glob("clips-*.npz"))) or "none"
            raise InputError(
                f"config.dataset.eval_split={split!r}: {path} does not exist (prepared splits: {there}); each cell is "
                "evaluated on it"
            )


def evaluate_cell(config: ConfigDict, folder: pathlib.Path) -> dict[str, Any]:
    """Evaluate a trained cell; what `cell.json` takes of it: {field: {column: figure, or None where there is none}}."""
    if config.model.name == "raft":
        from experiments.flow_evaluation import evaluate_flow

        result = evaluate_flow(config, folder, folder)
        return {FLOW.field: finite_or_none(result["endpoint_error"]["network"])}
    from experiments.evaluate import evaluate

    return {POSES.field: finite_or_none(evaluate(config, folder, None, None, quiet=False)["ap"])}

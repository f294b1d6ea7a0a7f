"""What an evaluation ranks models by, and what differences of it mean."""

import dataclasses
import math

from jmpose_jax.train.checkpoints import Best


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
        configs/jmpose_ablation.py differ by in one of three seeds whose means are equal (docs/results.md).
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

    @property
    def best(self) -> Best:
        """Which of the checkpoints that were evaluated in training is the best."""
        return Best(self.field, self.sign)

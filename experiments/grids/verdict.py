"""Which place of a grid's table is best, if any: differences within noise are none."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from experiments.evaluation.measure import Measure

Key = tuple[str, ...]
BY_SEED = "two standard errors of a difference over {} seeds"
ONE_SEED = "one seed a cell tells no noise; smaller differences come from the seed alone"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the means say.

    Attributes:
      means: place -> mean over its seeds, of the places that have a result.
      leaders: the places that no more than noise parts from the greatest mean (the least one where less is better);
        the first has that mean.
      noise: the largest difference that counts for none.
      how: where `noise` comes from, in words.
    """

    means: dict[Key, float]
    leaders: list[Key]
    noise: float
    how: str

    @property
    def best(self) -> Key | None:
        """The place that stands above all others; None where several are alike or none has a result."""
        return self.leaders[0] if len(self.leaders) == 1 else None

    def alike(self, difference: float) -> bool:
        """Whether a difference is no more than noise."""
        return abs(difference) <= self.noise + 1e-9


def judge(values: Mapping[Key, Mapping[str, float]], measure: Measure) -> Verdict:
    """The verdict on a table.

    Args:
      values: place -> {seed: figure}, of cells that are done.
      measure: of the figures.
    """
    known = {key: dict(found) for key, found in values.items() if found}
    means = {key: float(np.mean(list(found.values()))) for key, found in known.items()}
    error, seeds = standard_error(known)
    if seeds > 1:
        noise, how = max(2 * error, measure.many_seeds), BY_SEED.format(seeds)
    else:
        noise, how = measure.one_seed, ONE_SEED
    verdict = Verdict(means, [], noise, how)
    ranked = sorted(means, key=lambda key: -measure.sign * means[key])
    leaders = [key for key in ranked if verdict.alike(means[key] - means[ranked[0]])]
    return dataclasses.replace(verdict, leaders=leaders)


def standard_error(values: Mapping[Key, Mapping[str, float]]) -> tuple[float, int]:
    """Standard error of the difference of two places' means, and the number of seeds that it stands on.

    All places of one seed share its data order and start, so what a seed adds to all of them is no noise of a
    difference: the error is that of the residuals once the means of places and seeds are taken off. Where fewer than
    two seeds are common to all places, it is that of the seeds about each place's mean; (NaN, 1) where none has two.
    """
    common = sorted(set.intersection(*(set(found) for found in values.values()))) if values else []
    if len(values) > 1 and len(common) > 1:
        table = np.array([[found[seed] for seed in common] for found in values.values()])
        residuals = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
        variance = (residuals**2).sum() / ((len(table) - 1) * (len(common) - 1))
        return math.sqrt(2 * variance / len(common)), len(common)
    several = [np.array(list(found.values())) for found in values.values() if len(found) > 1]
    if not several:
        return math.nan, 1
    variance = sum(((v - v.mean()) ** 2).sum() for v in several) / sum(len(v) - 1 for v in several)
    fewest = min(len(found) for found in values.values())
    return math.sqrt(2 * variance / fewest), min(len(v) for v in several)


def in_words(verdict: Verdict, axes: Mapping[str, list[str]], measure: Measure) -> str:
    """The verdict in one line, for the console and `grid.md`."""

    def place(key: Key) -> str:
        return ", ".join(f"{axis} = {label}" for axis, label in zip(axes, key))

    if not verdict.leaders:
        return "no cell has a result yet"
    figures = [verdict.means[key] for key in verdict.leaders]
    digits = measure.digits + 1
    noise = f"noise is {verdict.noise:.{digits}f} {measure.unit}: {verdict.how}"
    if verdict.best is not None:
        alone = len(verdict.means) == 1
        found = f"{place(verdict.best)}, {measure.name} {measure.shown(figures[0])} {measure.unit}"
        return f"the only result: {found}" if alone else f"best: {found} ({noise})"
    spread = f"{measure.name} within {max(figures) - min(figures):.{digits}f} {measure.unit} ({noise})"
    if len(verdict.leaders) == len(verdict.means):
        return f"no difference between the {len(figures)} places with a result: {spread}"
    shown = [place(key) for key in verdict.leaders[:3]] + (["…"] if len(figures) > 3 else [])
    return f"no difference between the {len(figures)} best ({'; '.join(shown)}): {spread}; the others are worse"

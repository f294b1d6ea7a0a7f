"""What a paper says of its table, checked on ours one sentence after the other.

A claim is a mapping: "says", the sentence in our words; "kind", what to look for; and what that kind names:

  best: "place", the label of every axis: no other place is better.
  rises_then_falls: "axis": the mean over all other axes is greatest inside, above both ends.
  flat: "axis", "label": where the axis has this label, the others make no difference.
  needed: "axis", "label": elsewhere the others make more difference than where the axis has this label.

The answers are "seen", "not seen", "within noise" (our figures differ too little to tell) and, where cells have no
result, "not known". Noise is that of the difference of two cells, also where means over several are compared, so that
"seen" is said too seldom rather than too often.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.evaluation.measure import Measure
from experiments.grids.verdict import Key, Verdict
from jmpose_jax.errors import InputError

SEEN, NOT_SEEN, NOISE, UNKNOWN = "seen", "not seen", "within noise", "not known"
Axes = Mapping[str, Sequence[str]]
Answer = tuple[str, str]  # the answer, and the figures that it stands on


def check_claim(claim: Mapping[str, Any], axes: Axes) -> None:
    """Raises InputError where a claim is none, or names no axis or label of the grid; `axes` without the seed."""
    if not isinstance(claim.get("says"), str) or claim.get("kind") not in KINDS:
        raise InputError(f"the grid's claim {dict(claim)}: give 'says', a text, and 'kind', one of {', '.join(KINDS)}")
    named = claim.get("place") if claim["kind"] == "best" else {claim.get("axis"): claim.get("label")}
    named = named if isinstance(named, Mapping) else {}
    free = claim["kind"] == "rises_then_falls"
    whole = claim["kind"] != "best" or named.keys() == axes.keys()
    if not whole or any(axis not in axes or not (free or label in axes[axis]) for axis, label in named.items()):
        raise InputError(f"the grid's claim {claim['says']!r} names {dict(named)}, which is no place of {dict(axes)}")


def answer(claim: Mapping[str, Any], axes: Axes, verdict: Verdict, measure: Measure) -> Answer:
    """Whether our table shows what a claim says.

    Args:
      claim: see above.
      axes: of the table, axis -> labels.
      verdict: our means and what counts as noise.
      measure: of the means.
    """
    if any(key not in verdict.means for key in itertools.product(*axes.values())):
        return UNKNOWN, "cells have no result"
    return KINDS[claim["kind"]](claim, axes, verdict, measure)


def _best(claim: Mapping[str, Any], axes: Axes, verdict: Verdict, measure: Measure) -> Answer:
    place = tuple(claim["place"][axis] for axis in axes)
    behind = measure.sign * (verdict.means[verdict.leaders[0]] - verdict.means[place])
    figures = f"{measure.shown(verdict.means[place])} there, {behind:.{measure.digits + 1}f} behind the best"
    if place == verdict.best:
        return SEEN, figures
    return NOISE if place in verdict.leaders else NOT_SEEN, figures


def _rises_then_falls(claim: Mapping[str, Any], axes: Axes, verdict: Verdict, measure: Measure) -> Answer:
    place, labels = list(axes).index(claim["axis"]), axes[claim["axis"]]
    profile = [float(np.mean([m for key, m in verdict.means.items() if key[place] == label])) for label in labels]
    figures = ", ".join(f"{label}: {measure.shown(mean)}" for label, mean in zip(labels, profile))
    height = measure.sign * np.array(profile)
    if len(height) < 3:
        return UNKNOWN, "an axis needs three values to rise and fall"
    inside = height[1:-1].max()
    above = inside - height[[0, -1]]
    if (above > 0).all() and not any(map(verdict.alike, above)):
        return SEEN, figures
    return NOT_SEEN if (above < 0).any() and not verdict.alike(above.min()) else NOISE, figures


def _spreads(claim: Mapping[str, Any], axes: Axes, verdict: Verdict) -> tuple[float, float]:
    """Greatest less least mean where the axis has the label, and the greatest such difference where it has another."""
    place = list(axes).index(claim["axis"])
    means = {label: [m for key, m in verdict.means.items() if key[place] == label] for label in axes[claim["axis"]]}
    spread = {label: max(found) - min(found) for label, found in means.items()}
    return spread.pop(claim["label"]), max(spread.values(), default=0.0)


def _flat(claim: Mapping[str, Any], axes: Axes, verdict: Verdict, measure: Measure) -> Answer:
    there, elsewhere = _spreads(claim, axes, verdict)
    figures = f"spread {there:.{measure.digits + 1}f} there, up to {elsewhere:.{measure.digits + 1}f} elsewhere"
    if not verdict.alike(there):
        return NOT_SEEN, figures
    return NOISE if verdict.alike(elsewhere) else SEEN, figures


def _needed(claim: Mapping[str, Any], axes: Axes, verdict: Verdict, measure: Measure) -> Answer:
    there, elsewhere = _spreads(claim, axes, verdict)
    figures = f"spread {there:.{measure.digits + 1}f} there, up to {elsewhere:.{measure.digits + 1}f} elsewhere"
    if verdict.alike(elsewhere - there):
        return NOISE, figures
    return SEEN if elsewhere > there else NOT_SEEN, figures


KINDS: dict[str, Callable[[Mapping[str, Any], Axes, Verdict, Measure], Answer]] = {
    "best": _best,
    "rises_then_falls": _rises_then_falls,
    "flat": _flat,
    "needed": _needed,
}


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's coefficient, equal figures sharing their ranks; NaN where one of the two is constant."""
    from scipy.stats import rankdata  # slow to import

    ranks = np.stack([rankdata(values) for values in (first, second)])
    return float("nan") if (np.ptp(ranks, axis=1) == 0).any() else float(np.corrcoef(ranks)[0, 1])


def beside_paper(
    claims: Sequence[Mapping[str, Any]], axes: Axes, verdict: Verdict, papers: Mapping[Key, float], measure: Measure
) -> list[str]:
    """Markdown below a table: how far our order of the cells is the paper's, and an answer to each claim."""
    lines: list[str] = []
    shared = [key for key in papers if key in verdict.means]
    if len(shared) > 2:
        value = rank_correlation([verdict.means[k] for k in shared], [papers[k] for k in shared])
        said = "not defined, all our figures are equal" if np.isnan(value) else f"{value:+.2f}"
        lines += ["", f"Rank correlation with the paper's figures over {len(shared)} cells (Spearman): {said}."]
    if claims:
        lines += ["", "| what the paper says | here | our figures |", "|---|---|---|"]
        for claim in claims:
            found, figures = answer(claim, axes, verdict, measure)
            lines.append(f"| {claim['says']} | {found} | {figures} |")
    return lines

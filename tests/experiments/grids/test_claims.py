"""What a paper says of its table, checked on others: seen, not seen, within noise, not known."""

import dataclasses
import itertools

import pytest

from configs import tipsd_grid
from experiments.evaluation.poses import MEASURE
from experiments.grids import cells as grid_cells
from experiments.grids import claims, engines
from experiments.grids import report as grid_report
from experiments.grids.verdict import judge
from experiments.run.building import plain
from jmpose_jax.errors import InputError

FINE = dataclasses.replace(MEASURE, one_seed=0.05)
AXES = {"a": ["0", "1", "5"], "b": ["0", "1", "5"]}


def answers(table, *said, measure=MEASURE):
    """The answers to claims on figures [a][b]."""
    places = itertools.product(*AXES.values())
    verdict = judge({k: {"": v} for k, v in zip(places, itertools.chain(*table)) if v is not None}, measure)
    return [claims.answer({"says": "x", **claim}, AXES, verdict, measure)[0] for claim in said]


RISES = {"kind": "rises_then_falls", "axis": "a"}
FLAT, NEEDED = ({"kind": kind, "axis": "a", "label": "0"} for kind in ("flat", "needed"))
BEST = {"kind": "best", "place": {"a": "1", "b": "1"}}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (((50, 50, 50), (55, 60, 55), (52, 52, 52)), ["seen", "seen", "seen", "seen"]),
        (((50, 53, 50), (50, 50, 50), (40, 40, 40)), ["not seen", "not seen", "not seen", "not seen"]),
        (((50, 50, 50), (50.1, 50.2, 50.1), (50, 50, 50)), ["within noise"] * 4),
        (((50, 50, 50), (55, None, 55), (52, 52, 52)), ["not known"] * 4),
    ],
)
def test_answers(table, expected):
    assert answers(table, RISES, FLAT, NEEDED, BEST) == expected


def test_less_is_better_where_the_measure_says_so():
    errors = ((9, 9, 9), (7, 5, 7), (8, 8, 8))
    less = dataclasses.replace(MEASURE, sign=-1)
    assert answers(errors, RISES, BEST, measure=less) == ["seen", "seen"]
    assert answers(errors, RISES, BEST) == ["not seen", "not seen"]


def test_ranks():
    assert claims.rank_correlation([1, 2, 3, 4], [10, 20, 20, 50]) == pytest.approx(0.9487, abs=1e-4)
    assert claims.rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert claims.rank_correlation([1, 1], [3, 2]) != claims.rank_correlation([1, 1], [3, 2])  # NaN


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"paper": (1.0, 2.0)}, r"'paper' has the form \[2\], its axes \[4, 4\]"),
        ({"claims": "x"}, "give a list of mappings"),
        ({"claims": [{"says": "x", "kind": "odd"}]}, "'kind', one of best, rises_then_falls, flat, needed"),
        ({"claims": [{"says": "x", "kind": "flat", "axis": "loss.gamma.s", "label": "2"}]}, "which is no place"),
        ({"claims": [{"says": "x", "kind": "best", "place": {"loss.gamma.s": "1"}}]}, "which is no place"),
        ({"loss.gamma.s": (0.0, float("nan"))}, "cannot be written as JSON"),
        ({"loss.gamma.s": (0.0, "much")}, "gives 'loss.gamma.s' the value 'much'"),
    ],
)
def test_figures_and_claims_that_fit_no_table_are_refused(axes, message):
    base, grid = plain(tipsd_grid.get_config()), tipsd_grid.get_grid()
    if "loss.gamma.s" in axes:
        grid = {"loss.gamma.info": grid["loss.gamma.info"]}
    with pytest.raises(InputError, match=message):
        grid_cells.expand(base, grid | axes)


def test_the_papers_own_figures_agree_with_its_sentences(tmp_path):
    """Through the files of a grid: claimed, loaded, reported; noise as small as the paper's digits."""
    for variant, exceptions in (("table1", set()), ("table2", {"at gamma_com 0 the others change nothing"})):
        grid = grid_cells.expand(plain(tipsd_grid.get_config(variant)), tipsd_grid.get_grid(variant))
        verdict = judge({tuple(c.labels.values()): {"": c.paper} for c in grid.cells}, FINE)
        found = {claim["says"]: claims.answer(claim, grid.axes, verdict, FINE)[0] for claim in grid.claims}
        assert {says for says, said in found.items() if said != "seen"} == exceptions
    folder = tmp_path / "grid"
    folder.mkdir()
    grid_cells.claim(folder, grid)
    loaded = grid_cells.load(folder)
    assert loaded == grid
    for cell in loaded.cells:
        engines.write_status(folder, cell, "done", ap={"Total": cell.paper, **dict.fromkeys(MEASURE.columns, 1.0)})
    grid_report.write_report(folder, loaded)
    text = (folder / "grid.md").read_text()
    assert "| mAP: loss.gamma.var \\ loss.gamma.com | 0 | 0.1 | 1 | 5 | paper: 0 |" in text
    assert "| 1 | 84.0 | 85.5 | 86.2 | 85.4 | 84.0 | 85.5 | 86.2 | 85.4 |" in text
    assert "over 64 cells (Spearman): +1.00" in text
    assert "| all three at 1 are best | within noise | 86.2 there" in text  # one seed a cell: 0.5

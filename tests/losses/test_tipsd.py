"""TIPSD's objective: what its gammas multiply, and that no wrong one reaches a training."""

import math

import pytest

from configs import tipsd, tipsd_grid
from experiments.grids import cells
from experiments.grids.vectorized import groups
from experiments.run.building import plain
from experiments.systems import objective_of
from jmpose_jax import losses
from jmpose_jax.errors import InputError

GAMMA = {"info": 2.0, "s": 0.5, "com": 3.0, "var": 5.0, "red": 7.0}


def test_gammas_multiply_what_they_are_of():
    weights = dict.fromkeys(losses.TIPSDObjective.TERMS, 1.0) | {"heatmap": 100.0}
    found = losses.TIPSDObjective(gamma=GAMMA, weights=weights).term_weights()
    assert found == {
        "heatmap": 100.0,
        "com": 600.0,
        "var": 1000.0,
        "red": 1400.0,
        "predictor_fit": 1.0,
        "synthesis": 50.0,
        "consistency": 50.0,
    }
    in_pixels = losses.TIPSDObjective(gamma=GAMMA, weights=weights, normalization="pixels").term_weights()
    assert in_pixels["com"] == 6.0 and in_pixels["synthesis"] == 50.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": GAMMA | {"com": -1.0}}, "loss.gamma.com=-1.0: must be a number that is not negative"),
        ({"gamma": GAMMA | {"s": math.nan}}, "loss.gamma.s=nan"),
        ({"gamma": GAMMA | {"var": "much"}}, "loss.gamma.var=much"),
        ({"gamma": {"info": 1.0}}, "loss.gamma has info; give info, s, com"),
        ({"teacher": "nobody"}, "loss.teacher='nobody'"),
        ({"weights": {"heatmap": 1.0}}, "loss.weights lacks com, var"),
    ],
)
def test_what_is_no_objective_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        losses.TIPSDObjective(**change)


def test_synthesis_needs_both_neighbours():
    config = tipsd.get_config()
    objective_of(config)
    config.dataset.complete_windows = False
    with pytest.raises(InputError, match="config.loss.gamma.s=0.1 synthesizes .*dataset.complete_windows=True"):
        objective_of(config)
    config.loss.gamma.s = 0.0
    objective_of(config)


def test_both_tables_are_one_program_with_the_papers_figures_beside_them():
    for variant, count in (("table1", 16), ("table2", 64)):
        base, axes = plain(tipsd_grid.get_config(variant)), tipsd_grid.get_grid(variant)
        found = cells.expand(base, axes | {"seed": (0, 1)})
        assert [len(group) for group in groups(found, found.cells)] == [count, count]
        figures = {tuple(cell.overrides[k] for k in axes if k.startswith("loss")): cell.paper for cell in found.cells}
        assert len(figures) == count and None not in figures.values() and max(figures.values()) == 86.2
        best = {"table1": (1.0, 0.1), "table2": (1.0, 1.0, 1.0)}[variant]
        assert figures[best] == 86.2
        assert figures[(0.0,) * len(best)] == {"table1": 83.0, "table2": 83.9}[variant]
        assert len({cell.id for cell in found.cells}) == 2 * count

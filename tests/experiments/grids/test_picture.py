"""The heat map: its colours do not make sense of noise."""

import numpy as np
import pytest

from experiments.evaluation.endpoint_error import MEASURE as FLOW
from experiments.evaluation.poses import MEASURE as POSES
from experiments.grids import picture as grid_picture
from experiments.grids.picture import colour_range, heat_map
from experiments.grids.verdict import judge


def test_the_colours_span_at_least_the_scale():
    low, high = colour_range({("a",): 60.0, ("b",): 60.001}, POSES)
    assert high - low == pytest.approx(1.0) and low < 60.0 < 60.001 < high
    assert colour_range({("a",): 40.0, ("b",): 60.0}, POSES) == (40.0, 60.0)
    low, high = colour_range({("a",): 0.5}, FLOW)
    assert high - low == pytest.approx(0.1)
    assert colour_range({}, POSES) == (0.0, 1.0)


@pytest.mark.parametrize("measure", [POSES, FLOW])
def test_what_is_drawn(monkeypatch, tmp_path, measure):
    drawn = []

    def subplots(*arguments, **options):
        drawn.append(original(*arguments, **options))
        return drawn[-1]

    original = grid_picture.plt.subplots
    monkeypatch.setattr(grid_picture.plt, "subplots", subplots)
    values = {("a", "x"): {"": 60.0}, ("a", "y"): {"": 60.001}, ("b", "x"): {}, ("b", "y"): {}}
    absent = dict.fromkeys(values, "failed")
    heat_map({"row": ["a", "b"], "column": ["x", "y"]}, judge(values, measure), absent, measure, tmp_path / "g.png")
    (axis,) = drawn[0][1].flat
    (image,) = axis.images
    assert image.get_clim()[1] - image.get_clim()[0] >= 0.99 * measure.scale
    assert image.get_cmap().name == ("viridis" if measure is POSES else "viridis_r")
    assert [text.get_text() for text in axis.texts] == [measure.shown(60.0), measure.shown(60.001), "failed", "failed"]
    assert not axis.patches  # nobody is framed as the best
    assert np.isnan(np.asarray(image.get_array().filled(np.nan))).sum() == 2
    assert (tmp_path / "g.png").stat().st_size > 2000

"""Pictures of refined poses."""

import cv2
import numpy as np

from experiments.pictures.refinement import draw_curves, draw_trajectories


def test_curves_and_ways_are_pictures_and_gaps_are_gaps(tmp_path):
    frames, values = np.arange(40), np.random.default_rng(0).random(40)
    values[10:20] = np.nan
    curves = {"before": (frames, values), "after": (frames, values / 2)}
    draw_curves({"error": curves, "acceleration": {"after": (frames, values * np.nan)}}, tmp_path / "c.png", fps=25.0)
    ways = np.random.default_rng(1).random((40, 3, 3))
    ways[5:9, 1] = np.nan
    draw_trajectories(ways, ways + 0.1, ["a", "b", "c"], tmp_path / "t.png", first=7)
    for name in ("c.png", "t.png"):
        image = cv2.imread(str(tmp_path / name))
        assert image.shape[0] > 300 and np.std(image) > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.png", "t.png"]

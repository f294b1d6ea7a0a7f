"""Numbers of cells and lists."""

import math

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.values import cell, cell_number, header_places, number_list, triples


def test_cells():
    assert cell_number(" 1e3 ", "a") == 1000 and cell_number("-.5", "a") == -0.5
    assert all(math.isnan(cell_number(text, "a")) for text in ("", "nan", "N/A", "null"))
    with pytest.raises(InputError, match="line 3"):
        cell_number("left", "line 3")
    assert cell(1.5, "1.500") == "1.500" and cell(1.25, "1.500") == "1.25" and cell(math.nan, "nan") == "nan"
    assert cell(0.1) == "0.1" and np.float32(cell(1 / 3)) == np.float32(1 / 3)


def test_lists():
    np.testing.assert_array_equal(triples([1, None, 3.5], None, "a"), [[1, np.nan, 3.5]])
    for wrong in ([1, 2], [], "123", [1, 2, "3"], [True, 1, 2]):
        with pytest.raises(InputError, match="place"):
            triples(wrong, None, "place")
    with pytest.raises(InputError, match="place"):
        number_list([10**400], "place")


def test_headers():
    assert header_places(["X", " track ", "Id"], {"x": ("x",), "track": ("track_id", "id", "track")}) == {
        "x": 0, "track": 2,
    }  # fmt: skip

"""No name of a column has two meanings."""

import re

from jmpose_jax.boxes.columns import COLUMNS


def test_every_name_has_one_meaning_and_is_spelt_as_headers_are_compared():
    names = [name for known in COLUMNS.values() for name in known]
    assert len(set(names)) == len(names) and all(re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name) for name in names)

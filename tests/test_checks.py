"""The typed readers: what passes for which type, and what the message names."""

import json

import pytest

from jmpose_jax.checks import begins_with_mark, field, finite, numbers, read_json, typed
from jmpose_jax.errors import InputError


def test_whole_floats_are_integers_within_64_bits():
    assert typed(3.0, int, "x") == 3 and isinstance(typed(3.0, int, "x"), int)
    for value in (3.5, 1e300, 2**63, float("nan"), float("inf"), True, "3", None):
        with pytest.raises(InputError, match="^x must be an integer"):
            typed(value, int, "x")


def test_numbers_are_finite_and_of_no_other_type():
    assert numbers([1, 2.5, -3], 3, "x") == [1.0, 2.5, -3.0] and numbers([], None, "x") == []
    for value in (float("nan"), float("-inf"), 10**400, 1e300, "1", None, True, [1]):
        with pytest.raises(InputError, match=r"^x\[1\] must be a"):
            numbers([0, value], None, "x")
    with pytest.raises(InputError, match="x has 2 numbers, 3 are expected"):
        numbers([1, 2], 3, "x")


def test_finite_looks_everywhere():
    value = {"a": [1, [2.0, "text", None, True]], "b": {"c": 3}}
    assert finite(value, "f") is value
    for changed in ({"a": [1, [float("nan")]]}, {"b": {"c": 10**400}}, [["x", float("inf")]]):
        with pytest.raises(InputError, match=r"^f\[.* must be a finite number"):
            finite(changed, "f")


def test_marks_are_passed_over(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())
    assert begins_with_mark(path) and field(read_json(path), "a", int, "a") == 1
    path.write_text("{}")
    assert not begins_with_mark(path)

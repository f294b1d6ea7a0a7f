"""Typed readers of JSON whose author we do not know."""

import codecs
import json

import pytest

from jmpose_jax.checks import begins_with_mark, field, finite, numbers, read_json, typed
from jmpose_jax.errors import InputError


def test_a_byte_order_mark_says_nothing(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(codecs.BOM_UTF8 + json.dumps({"a": "é"}).encode())
    assert read_json(path) == read_json(str(path)) == {"a": "é"}
    path.write_text('{"a": "é"}', encoding="utf-16")
    assert read_json(path) == {"a": "é"}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a": 1', b"\xff\xfe{", b"[" * 100_000, b'"\xc3', b"{} {}", b"[1" + b"0" * 5000 + b"]"],
)
def test_what_is_no_json_is_named(tmp_path, data):
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(InputError) as fault:
        read_json(path)
    assert str(path) in str(fault.value) and "\n" not in str(fault.value)


def test_absent_files_and_folders_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "none" / "none.json"):
        with pytest.raises(InputError) as fault:
            read_json(path)
        assert str(path) in str(fault.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, 4e38, True, "1", None, [1], {}])
def test_only_finite_numbers_are_numbers(value):
    with pytest.raises(InputError) as fault:
        typed(value, float, "file: place")
    assert "file: place" in str(fault.value)
    with pytest.raises(InputError):
        numbers([0.0, value], None, "file: place")


def test_whole_floats_are_integers_and_0_and_1_are_booleans():
    assert typed(3.0, int, "") == 3 and isinstance(typed(3.0, int, ""), int)
    assert typed(1, bool, "") is True and typed(0, bool, "") is False
    for value, kind in ((3.5, int), (2**70, int), (2, bool), (True, int)):
        with pytest.raises(InputError):
            typed(value, kind, "")


def test_missing_and_null_entries():
    assert field({"a": None}, "a", int, "", default=-1) == -1
    for mapping in ({}, {"a": None}, [], "a", 1):
        with pytest.raises(InputError):
            field(mapping, "a", int, "file")


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


def test_a_key_that_stands_there_twice_is_refused_where_that_is_asked_for(tmp_path):
    (tmp_path / "a.json").write_text('[{"a": 1, "b": {"c": 1, "c": 2}}]')
    assert read_json(tmp_path / "a.json") == [{"a": 1, "b": {"c": 2}}]
    with pytest.raises(InputError, match=r"a\.json: .*'c' twice"):
        read_json(tmp_path / "a.json", unique=True)

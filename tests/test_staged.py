"""Results appear together or not at all; and names of places that are no plain ones (`jmpose_jax.files`)."""

import errno
import os

import pytest

from jmpose_jax.errors import InputError, NoSpace
from jmpose_jax.files import check_writable, place_results, same_file, staged


def test_results_appear_together(tmp_path):
    target = tmp_path / "a" / "b"
    with staged(target) as stage:
        (stage / "one").write_text("1")
        (stage / "two").write_text("2")
        assert [path.name for path in target.iterdir()] == [stage.name]
    assert {path.name: path.read_text() for path in target.iterdir()} == {"one": "1", "two": "2"}
    with staged(target) as stage:
        (stage / "one").write_text("3")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"one": "3", "two": "2"}


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_fault_leaves_what_was_there(tmp_path, fault):
    with pytest.raises(fault), staged(tmp_path / "a" / "b") as stage:
        (stage / "one").write_text("1")
        raise fault
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "one").write_text("earlier")
    with pytest.raises(fault), staged(tmp_path) as stage:
        (stage / "one").write_text("1")
        raise fault
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_a_full_disk(tmp_path):
    with pytest.raises(NoSpace, match="a: no room"), staged(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), staged(tmp_path / "a"):
        raise PermissionError
    assert list(tmp_path.iterdir()) == []


def test_the_working_folder_is_numbered_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "result").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    assert place_results(".", ("result",), "number") == tmp_path / "here-2"


def test_names_that_are_none(tmp_path):
    for name in ("x" * 300, "none/" + "x" * 300, "a\0b"):
        with pytest.raises(InputError, match="--output="):
            check_writable(tmp_path / name)
    assert not same_file("/proc/1/root/x", tmp_path) and same_file(tmp_path / ".", os.path.join(tmp_path, "y", ".."))

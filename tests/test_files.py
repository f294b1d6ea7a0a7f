"""Atomic files, and what is checked of a place before work begins."""

import json
import os

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.files import (
    atomic_text,
    check_inputs_kept,
    check_writable,
    json_files,
    place_results,
    put_in_place,
    same_file,
    write_json,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with pytest.raises(RuntimeError), atomic_text(path) as file:
        file.write("half")
        raise RuntimeError
    assert os.listdir(tmp_path / "new") == []
    with atomic_text(path) as file:
        file.write("né")
    assert path.read_bytes() == "né".encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_json_is_not_written(tmp_path, value):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": [value]})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_writable_place_is_left_as_it_was(tmp_path):
    assert check_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    file = tmp_path / "taken"
    file.write_text("")
    with pytest.raises(InputError) as fault:
        check_writable(file / below, "--workdir")
    assert str(file) in str(fault.value) and "--workdir" in str(fault.value)


@pytest.mark.parametrize("place", ["/proc/jmpose", "/sys/jmpose/a", "x" * 300, "a\0b"])
def test_a_place_that_cannot_be_written_to(place):
    with pytest.raises(InputError):
        check_writable(place)


def test_a_dangling_link_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError):
        check_writable(tmp_path / "link")


def test_one_file_under_many_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").write_text("v")
    os.link(tmp_path / "v.mp4", tmp_path / "hard.mp4")
    (tmp_path / "soft.mp4").symlink_to("v.mp4")
    for name in ("v.mp4", "./v.mp4", "hard.mp4", "soft.mp4", str(tmp_path / "v.mp4")):
        assert same_file("v.mp4", name)
        with pytest.raises(InputError):
            check_inputs_kept(["v.mp4"], ["other.mp4", name])
    (tmp_path / "copy.mp4").write_text("v")
    assert not same_file("v.mp4", "copy.mp4")
    check_inputs_kept(["v.mp4"], ["copy.mp4", "new.mp4"])


def test_results_are_refused_numbered_or_replaced(tmp_path):
    out = tmp_path / "out"
    assert place_results(out, ["a.json", "b.json"]) == out
    out.mkdir()
    (out / "unrelated").write_text("")
    assert place_results(out, ["a.json", "b.json"]) == out
    (out / "b.json").write_text("old")
    with pytest.raises(InputError) as fault:
        place_results(out, ["a.json", "b.json"])
    assert str(out) in str(fault.value) and "--if_exists" in str(fault.value)
    assert place_results(out, ["a.json", "b.json"], "replace") == out
    assert place_results(out, ["a.json", "b.json"], "number") == tmp_path / "out-2"
    (tmp_path / "out-2").mkdir()
    (tmp_path / "out-2" / "a.json").write_text("")
    assert place_results(out, ["a.json", "b.json"], "number") == tmp_path / "out-3"
    assert (out / "b.json").read_text() == "old"


def test_single_files_are_numbered_before_their_ending(tmp_path):
    page = tmp_path / "page.v1.html"
    assert place_results(page) == page
    page.write_text("")
    with pytest.raises(InputError):
        place_results(page)
    assert place_results(page, if_exists="number") == tmp_path / "page.v1-2.html"


def test_a_finished_folder_replaces_an_earlier_one(tmp_path):
    stage, target = tmp_path / "stage", tmp_path / "target"
    for folder, text in ((stage, "new"), (target, "old")):
        folder.mkdir()
        (folder / text).write_text(text)
    put_in_place(stage, target)
    assert os.listdir(tmp_path) == ["target"] and os.listdir(target) == ["new"]


def test_what_is_of_another_kind_than_the_result_is_never_replaced(tmp_path):
    (tmp_path / "poses.json").mkdir()
    (tmp_path / "poses.json" / "thesis").write_text("years of work")
    (tmp_path / "predictions").write_text("x")
    for name, place, names in (
        ("poses.json", tmp_path, ["poses.json"]),
        ("poses.json", tmp_path / "poses.json", []),
        ("predictions", tmp_path, ["predictions"]),
    ):
        with pytest.raises(InputError, match=f"{name} is a fo|{name} is a fi"):
            place_results(place, names, "replace")
    (tmp_path / "file").write_text("new")
    (tmp_path / "folder").mkdir()
    for stage, target in (("file", "poses.json"), ("folder", "predictions")):
        with pytest.raises(InputError, match=target):
            put_in_place(tmp_path / stage, tmp_path / target)
    assert (tmp_path / "poses.json" / "thesis").is_file() and (tmp_path / "predictions").read_text() == "x"


def test_a_folder_of_json_files_is_told_from_what_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "above" / "val").mkdir(parents=True)
    for name in ("b.json", "a.json"):
        (tmp_path / "above" / "val" / name).write_text("{}")
    assert [path.name for path in json_files(tmp_path / "above/val")] == ["a.json", "b.json"]
    for place, word in (
        ("absent", "no such folder"),
        ("above/val/a.json", "is a file"),
        ("empty", "holds no .json"),
        ("above", str(tmp_path / "above/val")),
    ):
        with pytest.raises(InputError) as fault:
            json_files(tmp_path / place)
        assert word in str(fault.value)


def test_what_lies_in_a_folder_of_results_goes_with_it(tmp_path):
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "a.jpg").write_text("mine")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "overlay")
    for source in (tmp_path / "overlay" / "a.jpg", tmp_path / "elsewhere" / "a.jpg", tmp_path / "overlay"):
        with pytest.raises(InputError, match="overlay would replace"):
            check_inputs_kept([source], [tmp_path / "poses.json", tmp_path / "overlay"])
    check_inputs_kept([tmp_path / "overlay" / "a.jpg"], [tmp_path / "poses.json"])

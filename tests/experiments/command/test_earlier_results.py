"""New results take the fixed names; none of an earlier run is lost."""

import concurrent.futures
import json

import pytest

from experiments.command.earlier_results import check_place, publish, staging
from jmpose_jax.errors import InputError

NAMES = ("evaluation.json", "predictions")


def put(folder, content, poses):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(content))
    (folder / "predictions").mkdir()
    (folder / "predictions" / "a.json").write_text(poses)


def new(folder, content, poses="new", if_exists="number"):
    with staging(folder) as stage:
        put(stage, content, poses)
        return publish(stage, folder, NAMES, if_exists)


def read(path):
    return json.loads(path.read_text())


def test_earlier_results_are_kept_under_one_number(tmp_path):
    run = tmp_path / "run"
    assert new(run, {"n": 1, "predictions": str(run / "predictions")}, "one") == []
    assert new(run, {"n": 2}, "two") == [run / "evaluation-2.json", run / "predictions-2"]
    (run / "predictions-3").mkdir()  # taken: the next free number is that of both
    assert new(run, {"n": 3}, "three") == [run / "evaluation-4.json", run / "predictions-4"]
    assert [read(run / f"evaluation{x}.json")["n"] for x in ("", "-4", "-2")] == [3, 2, 1]
    assert [(run / f"predictions{x}" / "a.json").read_text() for x in ("", "-4", "-2")] == ["three", "two", "one"]
    assert read(run / "evaluation-2.json")["predictions"] == str(run / "predictions-2")
    assert not list(run.glob(".*"))


def test_the_same_results_are_not_kept_twice(tmp_path):
    new(tmp_path, {"n": 1})
    assert new(tmp_path, {"n": 1}) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert new(tmp_path, {"n": 1}, "other poses") != []


def test_replace_and_refuse(tmp_path):
    new(tmp_path, {"n": 1})
    assert new(tmp_path, {"n": 2}, if_exists="replace") == []
    assert read(tmp_path / "evaluation.json") == {"n": 2} and len(list(tmp_path.iterdir())) == 2
    for attempt in (
        lambda: new(tmp_path, {"n": 3}, if_exists="refuse"),
        lambda: check_place(tmp_path, NAMES, "refuse", []),
    ):
        with pytest.raises(InputError, match="--workdir=.*evaluation.json"):
            attempt()
    assert read(tmp_path / "evaluation.json") == {"n": 2} and len(list(tmp_path.iterdir())) == 2


def test_odd_things_of_that_name_are_kept_too(tmp_path):
    (tmp_path / "evaluation.json").mkdir()
    (tmp_path / "predictions").write_text("a file")
    assert len(new(tmp_path, {"n": 1})) == 2
    assert (tmp_path / "evaluation-2.json").is_dir() and (tmp_path / "predictions-2").read_text() == "a file"


def test_only_what_is_new_is_moved(tmp_path):
    new(tmp_path, {"n": 1}, "poses")
    with staging(tmp_path) as stage:
        (stage / "evaluation.json").write_text('{"n": 2}')
        assert publish(stage, tmp_path, ["evaluation.json"]) == [tmp_path / "evaluation-2.json"]
    assert (tmp_path / "predictions" / "a.json").read_text() == "poses"


def test_results_do_not_go_among_what_is_read(tmp_path):
    with pytest.raises(InputError, match="is the folder that is read"):
        check_place(tmp_path, NAMES, "number", [tmp_path])


def test_evaluations_that_end_together_lose_nothing(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: new(tmp_path, {"n": n}, str(n)), range(8)))
    found = [read(path)["n"] for path in tmp_path.glob("evaluation*.json")]
    poses = [(path / "a.json").read_text() for path in tmp_path.glob("predictions*")]
    assert sorted(found) == list(range(8)) and sorted(poses) == [str(n) for n in range(8)]
    for path in tmp_path.glob("evaluation*.json"):  # one number for what belongs together
        beside = path.with_name(path.stem.replace("evaluation", "predictions")) / "a.json"
        assert beside.read_text() == str(read(path)["n"])

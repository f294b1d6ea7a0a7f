"""The parts of the quickstart that are its own; CI runs the whole of it at scale smoke."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from experiments.evaluation.comparison import ROWS, SUBSETS
from experiments.pictures import report
from experiments.quickstart import SCALES, Clock, _claim, closing_words, equal_time_steps, run, videos_of
from jmpose_jax.errors import InputError
from jmpose_jax.metrics.posetrack import JOINT_GROUPS

PARTS = ("render and prepare", "train the backbone", "train JM-Pose", "train the backbone on",
         "evaluate on the test split", "draw")  # fmt: skip


def result(scale="smoke", steps=10):
    ap = {row: dict.fromkeys((*JOINT_GROUPS, "Total"), 50.0) for row in ROWS}
    split = {row: dict.fromkeys(SUBSETS, 50.0) | {"hidden": None} for row in ROWS}
    counts = {"scale": scale, "seed": 0, "split": "test", "clips": 19, "steps": {"backbone": 30, "jmpose": steps}}
    return counts | {"ap": ap, "subsets": split, "joints": dict.fromkeys(SUBSETS, 7)}


@pytest.fixture
def finished(tmp_path):
    """A workdir whose parts are all done, without the folders that they fill."""
    (tmp_path / "quickstart.json").write_text(json.dumps({"scale": "smoke", "seed": 0}))
    (tmp_path / "timing.json").write_text(json.dumps(dict.fromkeys(PARTS, 1.5)))
    (tmp_path / "evaluation.json").write_text(json.dumps(result()))
    return tmp_path


def test_the_control_gets_the_time_of_stage_two():
    amount = SCALES["full"]
    steps = amount.trunk_steps + amount.decay_steps
    assert equal_time_steps(steps * 0.1, 150.0, amount) == 1500
    assert equal_time_steps(1e6, 0.001, amount) == 1


def test_a_finished_part_is_not_run_again(tmp_path):
    calls = []
    Clock(tmp_path / "timing.json").measure("part", lambda: calls.append(1))
    again = Clock(tmp_path / "timing.json")
    again.measure("part", lambda: calls.append(2))
    assert calls == [1]
    assert json.loads((tmp_path / "timing.json").read_text()) == again.seconds

    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        again.measure("other", fails)
    assert "other" not in again.seconds


def test_a_workdir_belongs_to_one_scale_and_seed(tmp_path):
    _claim(tmp_path / "w", "full", 0)
    _claim(tmp_path / "w", "full", 0)
    with pytest.raises(InputError, match="give another folder"):
        _claim(tmp_path / "w", "smoke", 0)


@pytest.mark.parametrize("there", ["poses.json", "images"])
def test_a_folder_that_holds_something_else_is_refused(tmp_path, there, monkeypatch):
    monkeypatch.setattr("experiments.quickstart._data", lambda *_: pytest.fail("rendered"))
    (tmp_path / there).mkdir()
    (tmp_path / ".lock").write_text("")
    with pytest.raises(InputError, match=f"{tmp_path} .*{there}"):
        run(tmp_path, "smoke", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", there]


def test_a_changed_config_goes_on_only_where_it_is_allowed(tmp_path, monkeypatch):
    allowed = []

    def train(config, workdir, *, allow_config_change, **options):
        allowed.append(allow_config_change)
        raise InputError("the config is not the one")

    monkeypatch.setattr("experiments.train.train", train)
    monkeypatch.setattr("experiments.quickstart._data", lambda *arguments: None)
    for allow in (False, True):
        with pytest.raises(InputError, match="the config is not the one"):
            run(tmp_path, "smoke", 0, allow)
    assert allowed == [False, True]


def test_training_videos_hold_one_complete_window_and_every_split_is_rendered():
    rendered = {}
    for videos, scene in videos_of(SCALES["smoke"]):
        assert scene.num_frames >= 5
        rendered |= videos
    assert rendered == SCALES["smoke"].videos


def test_a_finished_quickstart_is_not_written_again(finished, capsys):
    assert run(finished, "smoke", 0) == result()  # the report alone is missing
    assert {"report.md", "report.html"} <= {path.name for path in finished.iterdir()}
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished.iterdir()}
    capsys.readouterr()
    assert run(finished, "smoke", 0) == result()
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in finished.iterdir()} == before
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()[:-1]] == ["done before"] * len(PARTS)


@pytest.mark.parametrize("name", ["quickstart.json", "timing.json", "evaluation.json"])
@pytest.mark.parametrize(
    "content", [b"[]", b"{", b"\xff", b'{"scale": 3, "seed": "x", "draw": "long", "ap": []}', None]
)
def test_a_foreign_file_in_the_workdir_is_one_line(finished, name, content):
    path = finished / name
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=name) as fault:
        run(finished, "smoke", 0)
    assert "\n" not in str(fault.value) and str(finished) in str(fault.value)


def test_a_workdir_that_cannot_be_used_is_refused_before_anything_is_rendered(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.quickstart._data", lambda *_: pytest.fail("rendered"))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none"):
        with pytest.raises(InputError, match="--workdir"):
            run(folder, "smoke", 0)


@pytest.mark.parametrize(("steps", "warned"), [(10, True), (680, False)])
def test_a_model_of_ten_steps_announces_its_figures_with_a_warning(tmp_path, steps, warned):
    found = result(steps=steps)
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    report.write_report(tmp_path, {"draw": 1.0}, 2.0**30)
    pages = [(tmp_path / name).read_text() for name in ("report.md", "report.html")]
    for text in (closing_words(tmp_path, found), *pages):
        assert "50.0" in text and ("10 steps" in text and "mean nothing" in text) == warned
        assert not warned or text.index("mean nothing") < text.index("50.0")


def test_the_end_says_how_to_use_what_was_made(tmp_path):
    """The commands of the console and of the report; a folder whose name needs quotes."""
    folder = tmp_path / "my runs"
    boxes = folder / "data" / "video" / "annotations" / "train" / "000001_mpii_train.json"
    boxes.parent.mkdir(parents=True)
    (folder / "evaluation.json").write_text(json.dumps(result()))
    own = report.next_commands(folder)  # without the rendered video
    assert any("--video my.mp4 --checkpoint" in command for command in own.values())
    boxes.write_text("{}")
    (folder / "data" / "video" / "000001_mpii_train.mp4").write_text("")
    predict, evaluate = (shlex.split(command) for command in report.next_commands(folder).values())
    assert predict[:2] == ["jmpose", "predict"] and evaluate[:2] == ["jmpose", "evaluate"]
    # The figures that are announced are of the test split, and so are those that the command gives.
    assert evaluate[2:] == ["--workdir", f"{folder}/jmpose", "--config.dataset.eval_split=test"]
    given = dict(zip(predict[2::2], predict[3::2]))
    assert given["--boxes"] == str(boxes) and given["--checkpoint"] == f"{folder}/jmpose"
    assert given["--video"].endswith("000001_mpii_train.mp4") and not (folder / "my_poses").exists()
    report.write_report(folder, {"draw": 1.0}, 2.0**30)
    for command in report.next_commands(folder).values():
        assert command in (folder / "report.md").read_text() and command in closing_words(folder, result())


@pytest.mark.slow  # CI runs it
def test_the_command_at_the_end_works(small_backbone, tmp_path):
    from experiments.train import train

    small_backbone.train.steps = 1
    train(small_backbone, tmp_path / "jmpose", quiet=True)
    report.demo_video(tmp_path, 0)
    predict, _ = (shlex.split(command) for command in report.next_commands(tmp_path).values())
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(
        [sys.executable, "-m", "experiments.cli", *predict[1:]], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads((tmp_path / "my_poses" / "poses.json").read_text())["annotations"]) == report.DEMO_FRAMES

"""Result files changed in every way of the issue, at `evaluate --predictions`."""

import codecs
import json

import pytest

from jmpose_jax.metrics import posetrack
from tests.commands import run
from tests.everything.judge import refused, right, right_or_refused
from tests.everything.test_annotations import (
    HUGE,
    INFINITE,
    NAN,
    frame_id_alone,
    joint_name,
    permuted,
    reversed_order,
    setting,
    whole_floats,
    within,
)
from tests.everything.world import VIDEOS, changed, predictions, write

NAME = f"{VIDEOS['val']}.json"
SAME = {
    "joint order": permuted,
    "order of images and people": reversed_order,
    "frame_id in place of id": frame_id_alone,
    "whole floats for integers": whole_floats,
    "byte-order mark": lambda content: codecs.BOM_UTF8 + json.dumps(content).encode(),
}
REFUSED = {
    **{f"score {v!r:.8}": within("scores", v) for v in (NAN, INFINITE, -INFINITE, HUGE, "x", {}, [1.0])},
    **{f"keypoint {v!r:.8}": within("keypoints", v) for v in (NAN, INFINITE, HUGE, None, "x")},
    "every score NaN": lambda c: [entry.update(scores=[NAN] * 17) for entry in c["annotations"]] and None,
    "too few scores": setting("scores", [0.5] * 16),
    "too few keypoints": setting("keypoints", [1.0, 2.0, 1.0]),
    "unknown joint name": joint_name("elbow", 7),
    "a joint named twice": joint_name("right_shoulder"),
    "an image that is not listed": setting("image_id", 5),
    "one track_id twice in a frame": setting("track_id", 0),
    "too few images": lambda c: {"images": c["images"][:2], "annotations": c["annotations"][:4]},
    "a list": lambda content: [content],
    "empty": lambda content: b"",
    "cut off": lambda content: json.dumps(content).encode()[:-40],
    "deeply nested": lambda content: b"[" * 100_000,
}
EITHER = {
    "image_id a string": lambda c: c["annotations"][3].update(image_id=str(c["annotations"][3]["image_id"])),
    "track ids are strings": lambda c: [e.update(track_id=f"p{e['track_id']}") for e in c["annotations"]] and None,
    "track ids are numeric strings": lambda c: (
        [e.update(track_id=str(e["track_id"])) for e in c["annotations"]] and None
    ),
    "scores are numeric strings": lambda c: (
        [e.update(scores=[str(s) for s in e["scores"]]) for e in c["annotations"]] and None
    ),
}


def score(world, folder, output):
    return run(
        "evaluate",
        f"--ground_truth={world.posetrack / 'annotations/val'}",
        f"--predictions={folder}",
        f"--workdir={output}",
    )


def same_scores(world, output):
    found = json.loads((output / "evaluation.json").read_text(), parse_constant=pytest.fail)
    expected = posetrack.evaluate(world.posetrack / "annotations/val", world.predictions)
    return found["ap"] == pytest.approx(expected.ap) and found["mota"] == pytest.approx(expected.mota)


def results(tmp_path, change):
    write(tmp_path / "found" / NAME, changed(predictions(), change))
    return tmp_path / "found"


@pytest.mark.parametrize("name", SAME)
def test_the_same_said_otherwise_scores_the_same(world, tmp_path, name):
    right(
        score(world, results(tmp_path, SAME[name]), tmp_path / "out"),
        lambda: same_scores(world, tmp_path / "out"),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_scored_is_refused(world, tmp_path, name):
    ended = score(world, results(tmp_path, REFUSED[name]), tmp_path / "out")
    refused(ended, tmp_path / "out")
    assert NAME in ended.fault


@pytest.mark.parametrize("name", EITHER)
def test_either_read_alike_or_refused(world, tmp_path, name):
    ended = score(world, results(tmp_path, EITHER[name]), tmp_path / "out")
    right_or_refused(ended, lambda: same_scores(world, tmp_path / "out"), tmp_path / "out")


@pytest.mark.parametrize(
    "name, content", [("all_results.json", "[]"), ("notes.json", "text"), ("notes.json", "{}"), ("a.json/b.json", "{}")]
)
def test_foreign_files_are_left_out(world, tmp_path, name, content):
    folder = results(tmp_path, lambda c: None)
    write(folder / name, content)
    ended = score(world, folder, tmp_path / "out")
    right(ended, lambda: same_scores(world, tmp_path / "out"))


@pytest.mark.parametrize("place", ["absent", "empty", "file", "foreign"])
def test_a_folder_that_holds_no_results(world, tmp_path, place):
    folder = tmp_path / "found"
    if place == "file":
        folder.write_text("{}")
    elif place != "absent":
        folder.mkdir()
        if place == "foreign":
            write(folder / "other.json", "[]")
    ended = score(world, folder, tmp_path / "out")
    refused(ended, tmp_path / "out")
    assert str(folder) in ended.fault


def test_a_video_of_one_labelled_frame_has_no_mota_and_the_file_is_json(world, tmp_path):
    def first(content):
        keep = content["images"][0]["id"]
        content["images"] = content["images"][:1]
        content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] == keep]

    truth = json.loads((world.posetrack / "annotations/val" / NAME).read_text())
    write(tmp_path / "truth" / NAME, changed(truth, first))
    write(tmp_path / "found" / NAME, changed(predictions(), first))
    ended = run(
        "evaluate",
        f"--ground_truth={tmp_path / 'truth'}",
        f"--predictions={tmp_path / 'found'}",
        f"--workdir={tmp_path / 'out'}",
    )
    assert ended.status == 0, ended.err
    found = json.loads((tmp_path / "out/evaluation.json").read_text(), parse_constant=pytest.fail)
    assert found["mota"]["Total"] is None and "mota" in json.dumps(found["absent"])

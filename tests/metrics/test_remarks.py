"""What a score rests on that its files do not say is told."""

import json
import shutil

import pytest

from jmpose_jax.metrics import posetrack

FIRST = "000342_mpii_test.json"


@pytest.fixture
def folder(golden, tmp_path):
    for name in ("gt", "pred", "pred17"):
        shutil.copytree(golden / "poseval" / name, tmp_path / name)
    return tmp_path


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def remarks(folder, predicted="pred"):
    return posetrack.evaluate(folder / "gt", folder / predicted).remarks


def test_nothing_is_said_of_complete_files(folder):
    assert remarks(folder) == () == remarks(folder, "pred17")


@pytest.mark.parametrize(("side", "what"), [("pred", "predictions"), ("gt", "ground truth")])
def test_an_order_that_was_assumed(folder, side, what):
    change(folder / side / FIRST, lambda content: content.pop("categories"))
    (line,) = remarks(folder)
    assert line.startswith("1 of 3 files") and what in line and f"{side}/{FIRST}" in line and "PoseTrack18" in line


def test_poses_without_scores(folder):
    def third_value(content):
        for person in content["annotations"][:5]:
            person["keypoints"][2::3] = person.pop("scores")

    change(folder / "pred" / FIRST, third_value)
    (line,) = remarks(folder)
    assert line.startswith("5 poses without scores") and FIRST in line
    change(
        folder / "pred17" / FIRST,
        lambda content: content["annolist"][0]["annorect"][0]["annopoints"][0]["point"][3].pop("score"),
    )
    (line,) = remarks(folder, "pred17")
    assert line.startswith("1 pose without scores")


def test_joints_at_minus_one(folder):
    def absent(content):
        content["annotations"][0]["keypoints"][:6] = [-1, -1, 0, -1, -1, 1]

    change(folder / "pred" / FIRST, absent)
    (line,) = remarks(folder)
    assert line.startswith("2 joints of the predictions at (-1, -1)")

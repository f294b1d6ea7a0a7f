"""Scores of result files: null with a reason instead of NaN, and the table."""

import json
import shutil

import numpy as np
import pytest

from experiments.evaluation import scores
from jmpose_jax.errors import InputError


@pytest.fixture
def truth(prepared, tmp_path):
    """Ground truth with two labelled frames a video."""
    folder = shutil.copytree(prepared / "annotations" / "val", tmp_path / "truth")

    def second_frame(content):
        labelled = content["annotations"][0]["image_id"]
        other = next(image for image in content["images"] if image["id"] != labelled)
        other["is_labeled"] = True
        more = [a | {"image_id": other["id"], "id": a["id"] + 50} for a in content["annotations"]]
        content["annotations"] += more

    change(folder, second_frame)
    return folder


@pytest.fixture
def exact(truth, tmp_path):
    """Result files that hold the ground truth's own poses."""
    folder = shutil.copytree(truth, tmp_path / "exact")
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        for person in content["annotations"]:
            person["scores"] = [0.9] * 17
        path.write_text(json.dumps(content))
    return folder


def change(folder, function):
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        function(content)
        path.write_text(json.dumps(content))


def test_exact_poses(truth, exact):
    result = scores.measure(truth, exact)
    assert result["mean"] == 100.0 and result["mota"]["Total"] == 100.0 and "absent" not in result
    assert result["unused_predictions"] == [] and result["boxes"] == "unknown"


def test_no_mota_where_no_video_has_two_labelled_frames(truth, exact):
    def one_frame(content):
        first = content["annotations"][0]["image_id"]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] == first]

    change(truth, one_frame)
    result = scores.measure(truth, exact)
    assert set(result["mota"].values()) == {None} and result["absent"] == {"mota": scores.NO_TRACKS}
    json.dumps(result, allow_nan=False)
    assert f"no MOTA: {scores.NO_TRACKS}" in scores.table({"split": "val", **result})


def test_a_joint_that_is_annotated_nowhere(truth, exact):
    def no_ankles(content):
        names = content["categories"][0]["keypoints"]
        for person in content["annotations"]:
            for place in (names.index("left_ankle"), names.index("right_ankle")):
                person["keypoints"][3 * place : 3 * place + 3] = [0, 0, 0]

    change(truth, no_ankles)
    result = scores.measure(truth, exact)
    assert result["ap"]["Ankl"] is None and result["mota"]["Ankl"] is None and result["mean"] == 100.0
    assert set(result["absent"]) == {"ap/Ankl", "mota/Ankl"}
    table = scores.table({"split": "val", **result}).splitlines()
    assert table[1].split()[-2:] == ["Ankl", "Total"] and table[2].split()[-2:] == ["–", "100.00"]
    assert len([line for line in table if line.startswith("no AP of Ankl")]) == 1


def test_the_table_names_what_was_scored(truth, exact):
    (exact / "all_results.json").write_text("[1, 2]")
    result = {"ground_truth": str(truth), **scores.measure(truth, exact)}
    text = scores.table(result)
    assert result["unused_predictions"] == ["all_results.json"]
    for part in (str(truth), "2 videos", f"{result['frames']} labelled frames", "boxes: unknown", "all_results.json"):
        assert part in text
    for name in ("AP", "MOTA"):
        (row,) = [line for line in text.splitlines() if line.startswith(name)]
        assert row.split()[1:] == ["100.00"] * 8


def test_ground_truth_at_fault_is_seen_before_a_model_is_run(truth, tmp_path):
    scores.check_truth(truth, 0.0)
    with pytest.raises(InputError, match="CrowdIndex of 99.0 or more"):
        scores.check_truth(truth, 99.0)
    with pytest.raises(InputError, match="holds no .json file; .*there are some in .*truth"):
        scores.check_truth(tmp_path)
    change(truth, lambda content: content.update(annotations=[]))
    with pytest.raises(InputError, match="no annotated joint"):
        scores.check_truth(truth)


def test_nan_becomes_null_with_a_reason():
    nan = float("nan")
    assert scores.without_nan("ap", {"a": 1.0, "b": nan}, "why") == ({"a": 1.0, "b": None}, {"ap/b": "why"})
    assert scores.without_nan("ap", {"a": nan, "b": nan}, "why", "all") == ({"a": None, "b": None}, {"ap": "all"})
    assert scores.without_nan("ap", {"a": np.float64(2)}, "why") == ({"a": 2.0}, {})


def test_what_was_assumed_is_in_the_scores_and_in_the_table(truth, exact):
    change(exact, lambda content: content["annotations"][0].pop("scores"))
    result = scores.measure(truth, exact)
    (remark,) = [line for line in result["remarks"] if "without scores" in line]
    assert f"note: {remark}" in scores.table(result)


def test_a_box_source_that_is_no_string_is_named_before_the_scoring(truth, exact, monkeypatch):
    change(exact, lambda content: content.update(box_source=3))
    monkeypatch.setattr(scores.posetrack, "evaluate", None)
    with pytest.raises(InputError, match=rf"{exact}/.*\.json: 'box_source'"):
        scores.measure(truth, exact)

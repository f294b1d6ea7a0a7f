"""Errors by the truth: frames by their numbers, all of them, and the same joints before and after."""

import json
import math

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.reader import read_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_tracks
from jmpose_jax.refinement.truth import match_truth, truth_errors
from tests.pose_files.conftest import write_rows


def images(path, ids, track=1, error=0.0):
    entries = [
        {"id": n, "image_id": i, "track_id": track, "keypoints": [100.0 + 7 * (i % 1000) ** 1.5 + error, 50, 1]}
        for n, i in enumerate(ids)
    ]
    path.write_text(json.dumps({"images": [{"id": i} for i in ids], "annotations": entries}))
    return path


def table(path, values, joint="a", name=1):
    rows = [[frame, name, joint, x, 5] for frame, x in values.items()]
    write_rows(path, [["frame", "track_id", "joint", "x", "y"], *rows])
    return path


def errors(estimate, truth, refined=None):
    file = read_poses(estimate)
    matched = match_truth(file, read_poses(truth))
    return truth_errors(file.tracks, refined or file.tracks, matched)


@pytest.mark.parametrize(
    "ids, labelled",
    [
        (range(10013420000, 10013420010), (10013420000, 10013420003, 10013420004, 10013420006)),
        ((1, 2, 3, 4, 6, 7), (1, 3, 4, 6)),
        (range(1, 8), (1, 3, 4, 6)),
    ],
)
def test_images_are_matched_by_their_ids(tmp_path, ids, labelled):
    found = errors(images(tmp_path / "e.json", ids), images(tmp_path / "t.json", labelled))
    assert found["before"]["error"] == 0 and found["compared"] == {"joints": 4, "frames": 4, "poses": len(ids)}
    found = errors(images(tmp_path / "e.json", ids), images(tmp_path / "t.json", labelled, error=3))
    assert found["before"]["error"] == pytest.approx(3)


def test_numbers_of_frames_are_matched_whatever_the_first_is(tmp_path):
    estimate = table(tmp_path / "e.csv", {f: f for f in range(4, 20, 2)})
    found = errors(estimate, table(tmp_path / "t.csv", {f: f + 1 for f in range(16)}))
    assert found["before"] == {"error": 1.0, "acceleration_error": 0.0} and found["compared"]["frames"] == 6


def test_every_part_of_a_track_counts(tmp_path):
    far = [*range(30), *range(5000, 5020)]
    estimate = table(tmp_path / "e.csv", {f: 100 if f < 100 else 900 for f in far})
    found = errors(estimate, table(tmp_path / "t.csv", dict.fromkeys(far, 100)))
    assert found["before"]["error"] == pytest.approx(320)
    short = table(tmp_path / "s.csv", {f: 100 if f < 100 else 900 for f in far[20:]})
    assert errors(short, tmp_path / "t.csv")["before"]["error"] == pytest.approx(800 * 2 / 3)


def test_filled_joints_are_told_apart(tmp_path):
    way = {f: 100 + 50 * math.sin(f * math.pi / 4) for f in range(40)}
    estimate = table(tmp_path / "e.csv", {f: x for f, x in way.items() if f % 8 not in (1, 2, 3)})
    file = read_poses(estimate)
    refined, _ = refine_tracks(file.tracks, None, Gaussian(1e-3))  # which moves nothing
    found = errors(estimate, table(tmp_path / "t.csv", way), refined)
    assert found["before"]["error"] == pytest.approx(found["after"]["error"], abs=1e-12)
    assert found["filled"]["joints"] == 15 and found["filled"]["error"] > 20


def test_what_does_not_fit_is_refused(tmp_path):
    estimate = table(tmp_path / "e.csv", {f: f for f in range(9)})
    ids = images(tmp_path / "i.json", (1, 2, 3, 9))
    for truth, culprit in (
        (ids, "no numbers of frames"),
        (table(tmp_path / "j.csv", {1: 2}, joint="b"), "no joint"),
        (table(tmp_path / "f.csv", {70: 2}), "no frame"),
    ):
        with pytest.raises(InputError, match=culprit):
            errors(estimate, truth)

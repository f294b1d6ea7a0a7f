"""The tidy table: a row a frame, person and joint, and nothing for who is not there."""

import csv
import dataclasses

import pytest

from jmpose_jax.inference.outputs.tidy_csv import COLUMNS, write_csv
from jmpose_jax.skeletons import COCO17


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_rows(people, tmp_path):
    write_csv(people, tmp_path / "v.csv")
    rows = read(tmp_path / "v.csv")
    assert tuple(rows[0]) == COLUMNS and len(rows) == 5 * 17
    assert len({(row["frame"], row["track_id"], row["joint"]) for row in rows}) == len(rows)
    for n, (frame, time, track) in enumerate([(0, 0, 7), (0, 0, 0), (2, 0.1, 0), (3, 0.5, 0), (3, 0.5, 7)]):
        for k, row in enumerate(rows[17 * n : 17 * (n + 1)]):
            assert (int(row["frame"]), float(row["time_s"]), int(row["track_id"])) == (frame, time, track)
            assert row["joint"] == COCO17.joints[k]
            values = [*people.keypoints[n, k], people.scores[n, k]]
            assert [float(row[name]) for name in ("x", "y", "score")] == pytest.approx(values, abs=5.1e-4)


def test_unknown_times_are_empty(people, nobody, tmp_path):
    write_csv(dataclasses.replace(people, times=None), tmp_path / "v.csv")
    assert {row["time_s"] for row in read(tmp_path / "v.csv")} == {""}
    write_csv(nobody, tmp_path / "n.csv")
    assert (tmp_path / "n.csv").read_text() == ",".join(COLUMNS) + "\n"

"""MOT text: our own reader of box files takes it back, and so do the benchmark's tools."""

import dataclasses

import numpy as np
import pytest

from jmpose_jax.boxes.reader import read_boxes
from jmpose_jax.inference.outputs.mot import write_mot


def test_lines(people, tmp_path):
    write_mot(people, tmp_path / "v.txt")
    lines = np.loadtxt(tmp_path / "v.txt", delimiter=",")
    assert lines[:, 0].tolist() == [1, 1, 3, 4, 4] and lines[:, 1].tolist() == [0, 7, 0, 0, 7]
    order = [1, 0, 2, 3, 4]
    np.testing.assert_allclose(lines[:, 2:6], people.boxes[order], atol=5e-4)
    np.testing.assert_allclose(lines[:, 6], people.box_scores[order], atol=1e-6)
    assert (lines[:, 7:] == -1).all() and lines.shape[1] == 10
    write_mot(dataclasses.replace(people, box_scores=None), tmp_path / "w.txt")
    assert (np.loadtxt(tmp_path / "w.txt", delimiter=",")[:, 6] == 1).all()


def test_read_back_as_boxes(people, tmp_path):
    write_mot(people, tmp_path / "v.txt")
    assert read_boxes(tmp_path / "v.txt").form == "mot"


def test_nobody(nobody, tmp_path):
    write_mot(nobody, tmp_path / "v.txt")
    assert (tmp_path / "v.txt").read_text() == ""


def test_motmetrics_reads_it(people, tmp_path):
    motmetrics = pytest.importorskip("motmetrics")
    write_mot(people, tmp_path / "v.txt")
    table = motmetrics.io.loadtxt(str(tmp_path / "v.txt"), fmt="mot15-2D")
    assert list(table.index) == [(1, 0), (1, 7), (3, 0), (4, 0), (4, 7)]

"""DeepLabCut's layout: as pandas reads it, and empty where nobody is."""

import csv
import dataclasses

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs import deeplabcut
from jmpose_jax.skeletons import COCO17


def check(table, people):
    """A table [4, 2 × 17 × 3] holds the poses where they are and NaN elsewhere."""
    seen = {(0, 0): 1, (0, 7): 0, (2, 0): 2, (3, 0): 3, (3, 7): 4}
    for frame in range(4):
        for place, track in enumerate((0, 7)):
            values = table[frame].reshape(2, 17, 3)[place]
            if (frame, track) in seen:
                n = seen[frame, track]
                np.testing.assert_allclose(values[:, :2], people.keypoints[n], rtol=1e-5)
                np.testing.assert_allclose(values[:, 2], people.scores[n], rtol=1e-5)
            else:
                assert np.isnan(values).all()


def test_csv(people, tmp_path):
    deeplabcut.write_dlc_csv(people, tmp_path / "v.csv")
    with open(tmp_path / "v.csv", newline="") as file:
        *heads, zero, one, two, three = list(csv.reader(file))
    assert [head[0] for head in heads] == ["scorer", "individuals", "bodyparts", "coords"]
    assert heads[1][1] == "track_0" and heads[1][-1] == "track_7"
    assert heads[2][1:52:3] == list(COCO17.joints) and heads[3][1:4] == ["x", "y", "likelihood"]
    rows = [zero, one, two, three]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"] and all(len(row) == len(heads[0]) for row in rows)
    check(np.array([[float(cell or "nan") for cell in row[1:]] for row in rows]), people)


def test_both_files_are_one_table_to_pandas(people, nobody, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    deeplabcut.write_dlc_csv(people, tmp_path / "v.csv")
    deeplabcut.write_dlc_h5(people, tmp_path / "v.h5")
    table = pandas.read_hdf(tmp_path / "v.h5", "df_with_missing")
    check(table.to_numpy(), people)
    text = pandas.read_csv(tmp_path / "v.csv", header=[0, 1, 2, 3], index_col=0)
    assert list(table.columns) == list(text.columns) and list(table.columns.names) == list(deeplabcut.LEVELS)
    np.testing.assert_allclose(table.to_numpy(), text.to_numpy(), rtol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.csv", "v.h5"]
    deeplabcut.write_dlc_h5(nobody, tmp_path / "n.h5")
    assert pandas.read_hdf(tmp_path / "n.h5").shape == (4, 0)


def test_many_tracks(people, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    many = {name: np.tile(getattr(people, name)[:1], (300, *[1] * (getattr(people, name).ndim - 1)))
            for name in ("image_id", "keypoints", "scores", "boxes", "track_id", "box_scores")}  # fmt: skip
    crowd = dataclasses.replace(people, **many | {"track_id": np.arange(300)})
    deeplabcut.write_dlc_h5(crowd, tmp_path / "v.h5")
    assert pandas.read_hdf(tmp_path / "v.h5").shape == (4, 300 * 51)


def test_nobody(nobody, tmp_path):
    deeplabcut.write_dlc_csv(nobody, tmp_path / "v.csv")
    assert (tmp_path / "v.csv").read_text().split() == [*deeplabcut.LEVELS, "0", "1", "2", "3"]


def test_an_identity_twice_in_a_frame(people, tmp_path):
    with pytest.raises(InputError, match="identity 7 occurs twice in frame 0"):
        deeplabcut.write_dlc_csv(dataclasses.replace(people, track_id=np.array([7, 7, 0, 0, 7])), tmp_path / "v.csv")
    assert not list(tmp_path.iterdir())


def test_without_the_extra(people, tmp_path, monkeypatch):
    monkeypatch.setattr(deeplabcut, "has_hdf5", lambda: False)
    with pytest.raises(InputError, match="pip install"):
        deeplabcut.write_dlc_h5(people, tmp_path / "v.h5")

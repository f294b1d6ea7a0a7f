"""HDF5: what its pickles ask for is not done."""

import pickle

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.hdf5 import read_table, write_table
from jmpose_jax.pose_files.reader import read_poses, write_poses
from tests.pose_files.conftest import write_dlc_h5

pandas = pytest.importorskip("pandas")
tables = pytest.importorskip("tables")


class Hostile:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


@pytest.mark.parametrize("where", ("group", "block"))
def test_a_pickle_with_a_call_is_refused(tmp_path, people, where):
    path, mark = tmp_path / "a.h5", tmp_path / "was_run"
    write_dlc_h5(path, people)
    with tables.open_file(path, "a") as file:
        node = file.root.df_with_missing if where == "group" else file.root.df_with_missing.block0_values
        name = "pandas_type" if where == "group" else "transposed"
        node._v_attrs[name] = np.bytes_(pickle.dumps(Hostile(mark), 0))
    with pytest.raises(InputError, match="open.*refused"):
        read_poses(path)
    assert not mark.exists()
    assert tables.attributeset.pickle is pickle and tables.atom.pickle is pickle  # others are left as they were


def test_tables_of_both_formats_are_read(tmp_path):
    frame = pandas.DataFrame(
        np.arange(12.0).reshape(4, 3), columns=pandas.MultiIndex.from_product([["s"], list("abc")])
    )
    for form in ("fixed", "table"):
        frame.to_hdf(tmp_path / f"{form}.h5", key="k", mode="w", format=form)
        key, table = read_table(tmp_path / f"{form}.h5")
        assert key == "/k" and table.equals(frame)
    write_table(tmp_path / "out.h5", key, frame.to_numpy() + 1, frame, list(range(4)))
    assert read_table(tmp_path / "out.h5")[1].equals(frame + 1)


def test_rows_of_dates(tmp_path, people):
    write_dlc_h5(tmp_path / "a.h5", people)
    table = pandas.read_hdf(tmp_path / "a.h5")
    table.index = pandas.date_range("2020", periods=len(table))
    table.to_hdf(tmp_path / "b.h5", key="k", mode="w")
    with pytest.raises(InputError, match="b.h5: its rows are labelled by dates"):
        read_poses(tmp_path / "b.h5")
    table.index = pandas.DatetimeIndex(table.index.tolist())
    table.to_hdf(tmp_path / "c.h5", key="k", mode="w")
    file = read_poses(tmp_path / "c.h5")
    assert "taken for consecutive frames" in file.notes[0]
    write_poses(file, file.tracks, tmp_path / "d.h5")
    assert pandas.read_hdf(tmp_path / "d.h5").index.equals(table.index)


def test_faults(tmp_path, people, monkeypatch):
    pandas.DataFrame({"a": [1.0]}).to_hdf(tmp_path / "two.h5", key="a")
    pandas.DataFrame({"a": [1.0]}).to_hdf(tmp_path / "two.h5", key="b")
    with pytest.raises(InputError, match="2 tables"):
        read_poses(tmp_path / "two.h5")
    pandas.DataFrame({"a": [1.0]}).to_hdf(tmp_path / "other.h5", key="a")
    with pytest.raises(InputError, match="not DeepLabCut"):
        read_poses(tmp_path / "other.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:700])
    with pytest.raises(InputError, match="cut.h5"):
        read_poses(tmp_path / "cut.h5")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="jmpose-jax\\[dlc\\]"):
        read_table(tmp_path / "two.h5")

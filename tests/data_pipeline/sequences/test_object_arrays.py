"""Arrays of objects are read as data; whatever else a pickle holds is refused and never run."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from data_pipeline.sequences.object_arrays import read_object_arrays
from jmpose_jax.errors import InputError


def objects(entries):
    array = np.empty(len(entries), object)
    array[:] = entries
    return array


def write(path, name, payload):
    """An .npz whose array of objects is this pickle."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", header.getvalue() + payload)


def test_what_numpy_wrote_comes_back(tmp_path):
    path = tmp_path / "a.npz"
    poses = [np.random.default_rng(i).normal(size=(3 + i, 4)) for i in range(3)]
    names = [np.array([f"v{i}/{j:03d}.png" for j in range(3 + i)]) for i in range(3)]
    np.savez(
        path,
        joints=objects(poses),
        imgname=objects(names),
        lists=objects([list(each) for each in names]),
        halves=objects([each.astype(np.float32).T for each in poses]),
        plain=np.arange(6).reshape(3, 2),
        scaling=objects([np.float64(2.5), np.float32(1), 3.0]),
    )
    found = read_object_arrays(path, ("joints", "imgname", "lists", "halves", "plain", "scaling", "absent"))
    assert set(found) == {"joints", "imgname", "lists", "halves", "plain", "scaling"}
    for i in range(3):
        np.testing.assert_array_equal(found["joints"][i], poses[i])
        np.testing.assert_array_equal(found["imgname"][i], names[i])
        assert [str(each) for each in found["lists"][i]] == names[i].tolist()
        np.testing.assert_array_equal(found["halves"][i], poses[i].astype(np.float32).T)
        np.testing.assert_array_equal(found["plain"][i], [2 * i, 2 * i + 1])
    assert [float(each) for each in found["scaling"]] == [2.5, 1, 3]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_protocol(tmp_path, protocol):
    array = objects([np.arange(4.0)])
    write(tmp_path / "a.npz", "x", pickle.dumps(array, protocol=protocol))
    np.testing.assert_array_equal(read_object_arrays(tmp_path / "a.npz", ("x",))["x"][0], np.arange(4.0))


class Runs:
    def __init__(self, function, *arguments):
        self.made_by = (function, arguments)

    def __reduce__(self):
        return self.made_by


def test_nothing_in_the_file_is_run(tmp_path):
    path, touched = tmp_path / "a.npz", tmp_path / "touched"
    import os

    for function, *arguments in ((os.system, f"touch {touched}"), (eval, "1"), (exec, "1"), (print, "x")):
        np.savez(path, x=objects([Runs(function, *arguments)]))
        with pytest.raises(InputError, match="refused"):
            read_object_arrays(path, ("x",))
    assert not touched.exists()


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({"a": 1}),
        b"\x80\x04" + b"(" * 1000,
        b"\x80\x04cnumpy\nndarray\n.",
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01tb.",
        b"\x80\x04cnumpy\ndtype\n(X\x02\x00\x00\x00V9tR.",
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01(K\x09tcnumpy\ndtype\n(X\x02\x00\x00\x00f8tR\x89C\x01atb.",
        b"",
    ],
)
def test_hostile_and_damaged_pickles(tmp_path, payload):
    write(tmp_path / "a.npz", "x", payload)
    try:
        found = read_object_arrays(tmp_path / "a.npz", ("x",))["x"]
    except InputError as fault:
        assert "a.npz" in str(fault)
    else:  # inert, whatever it is: no array came of it
        assert not any(isinstance(each, np.ndarray) and each.size for each in found)


def test_no_such_file_and_no_archive(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_object_arrays(tmp_path / "a.npz", ("x",))
    (tmp_path / "a.npz").write_bytes(b"text")
    with pytest.raises(InputError, match="cannot be read"):
        read_object_arrays(tmp_path / "a.npz", ("x",))

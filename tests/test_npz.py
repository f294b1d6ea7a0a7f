"""Arrays of an .npz, and what is none."""

import zipfile

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.npz import read_npz, write_npz


def test_all_or_some(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.array([{}], object))
    assert read_npz(tmp_path / "a.npz", {"a", "z"})["a"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="'b'.*pickle"):
        read_npz(tmp_path / "a.npz")


def test_what_is_none(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(300))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", np.arange(3))
    for name in ("cut.npz", "text.npz", "one.npy", "absent.npz"):
        with pytest.raises(InputError, match=name):
            read_npz(tmp_path / name)


def test_damage_is_told_in_one_line(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.random.default_rng(0).normal(size=900))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[200:400] = bytes(byte ^ 0x55 for byte in data[200:400])
    (tmp_path / "zlib.npz").write_bytes(data)
    np.savez(tmp_path / "a.npz", a=np.arange(9))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[6] |= 1  # the flags of enciphered members
    data[data.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "enciphered.npz").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "raw.npz", "w") as archive:
        archive.writestr("a", b"hello")
    for name in ("zlib.npz", "enciphered.npz", "raw.npz"):
        with pytest.raises(InputError, match=name) as caught:
            read_npz(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_any_name_and_type_is_written(tmp_path):
    arrays = {
        "file": np.arange(3),
        "allow_pickle": np.ones((2, 2), ">f4"),
        "a b": np.array("text"),
        "args": np.bool_(1),
    }
    write_npz(tmp_path / "a.npz", arrays)
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == list(arrays) and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert found["allow_pickle"].dtype == ">f4"
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npz(tmp_path / "b.npz", {"a": np.array([{}], object)})
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]

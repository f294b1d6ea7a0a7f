"""Arrays of an .npz, and what is none."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.npz import read_npz


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

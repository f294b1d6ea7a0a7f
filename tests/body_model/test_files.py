"""Body model files: shapes, trees, pickles."""

import pickle
import zipfile

import numpy as np
import pytest

from jmpose_jax.body_model.files import read_body_model
from jmpose_jax.errors import InputError
from tests.body_model.conftest import PARENTS


class Hostile:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


def test_reads_what_is_there_and_leaves_the_rest(arrays, tmp_path):
    np.savez(tmp_path / "b.npz", **arrays, other=np.array([Hostile(tmp_path / "was_run")], object))
    model = read_body_model(tmp_path / "b.npz")
    assert model.parents == PARENTS and model.num_joints == 5 and model.template.shape == (40, 3)
    np.testing.assert_array_equal(model.faces, arrays["f"])
    assert not (tmp_path / "was_run").exists()


def test_pickles_are_refused_and_not_run(arrays, tmp_path):
    mark = tmp_path / "was_run"
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"v_template": Hostile(mark)}))
    (tmp_path / "named.npz").write_bytes(pickle.dumps(Hostile(mark)))
    np.savez(tmp_path / "inside.npz", **arrays | {"J_regressor": np.array([Hostile(mark)], object)})
    for name, culprit in (("b.pkl", "pickle"), ("named.npz", "pickle"), ("inside.npz", "J_regressor.*pickle")):
        with pytest.raises(InputError, match=culprit):
            read_body_model(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name, value, culprit",
    [
        ("weights", None, "weights"),
        ("v_template", np.zeros((40, 2)), "v_template"),
        ("posedirs", np.zeros((40, 3, 9)), "posedirs"),
        ("J_regressor", np.full((5, 40), np.nan), "J_regressor"),
        ("weights", np.ones((40, 5)), "weights"),
        ("v_template", np.full((40, 3), 1e300), "v_template"),
        ("shapedirs", np.full((40, 3, 3), -np.inf), "shapedirs"),
        ("f", np.full((2, 3), 40), "f names"),
        ("f", np.zeros((2, 3)), "f is float64"),
        ("kintree_table", np.zeros((2, 5)), "kintree_table"),
        ("kintree_table", np.array([[-1, 0, 3, 1, 2], range(5)]), "no tree"),
        ("kintree_table", np.array([[0, 0, 1, 1, 2], range(5)]), "no tree"),
    ],
)
def test_faults(arrays, tmp_path, name, value, culprit):
    changed = {**arrays, name: value}
    np.savez(tmp_path / "b.npz", **{key: each for key, each in changed.items() if each is not None})
    with pytest.raises(InputError, match=culprit) as caught:
        read_body_model(tmp_path / "b.npz")
    assert "b.npz" in str(caught.value)


@pytest.mark.parametrize("name", ("f", "v_template", "kintree_table"))
def test_members_that_are_no_arrays(arrays, tmp_path, name):
    np.savez(tmp_path / "b.npz", **{key: each for key, each in arrays.items() if key != name})
    with zipfile.ZipFile(tmp_path / "b.npz", "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match=f"b.npz: {name} is no array"):
        read_body_model(tmp_path / "b.npz")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_body_model(tmp_path / "b.npz")

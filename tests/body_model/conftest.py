"""A small body: a chain with a branch of five joints, forty vertices, three shapes."""

import numpy as np
import pytest

PARENTS = (-1, 0, 1, 1, 3)


def body_arrays(parents=PARENTS):
    rng = np.random.default_rng(0)
    joints, vertices = len(parents), 40
    weights = rng.random((vertices, joints)) ** 4
    regressor = rng.random((joints, vertices))
    return {
        "v_template": rng.normal(size=(vertices, 3)),
        "shapedirs": 0.1 * rng.normal(size=(vertices, 3, 3)),
        "posedirs": 0.01 * rng.normal(size=(vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *parents[1:]], range(joints)], np.uint32),
        "f": rng.integers(0, vertices, (20, 3)).astype(np.uint32),
    }


@pytest.fixture
def arrays():
    return body_arrays()


@pytest.fixture
def body_file(arrays, tmp_path):
    np.savez(tmp_path / "body.npz", **arrays)
    return tmp_path / "body.npz"

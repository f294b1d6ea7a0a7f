"""The user's own SMPL file. SMPL's licence lets nobody hand it on: it is downloaded by each user from its authors."""

import os
import pathlib

import jax.numpy as jnp
import numpy as np

from jmpose_jax.body_model.skinning import BodyModel
from jmpose_jax.checks import LIMIT, read_bytes
from jmpose_jax.errors import InputError
from jmpose_jax.npz import read_npz

NAMES = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
NO_PARENT = 2**32 - 1  # of the root, in SMPL's unsigned table


def read_body_model(path: str | os.PathLike) -> BodyModel:
    """Read a body model as .npz, with SMPL's names of arrays; others in the file are not read.

    Args:
      path: the file.

    Raises:
      InputError: a pickle (as SMPL's .pkl is), or naming the array that is missing, misshapen or not finite.
    """
    path = pathlib.Path(path)
    if not read_bytes(path)[:4].startswith(b"PK"):
        raise InputError(
            f"{path}: is no .npz; SMPL's .pkl is a pickle, which runs what it likes: load it where you trust it, and "
            "save its arrays by numpy.savez (J_regressor as a dense array)"
        )
    arrays = read_npz(path, NAMES)
    missing = [name for name in NAMES if name not in arrays]
    if missing:
        raise InputError(f"{path}: lacks the array {missing[0]}; give a body model with {', '.join(NAMES)}")
    table = arrays["kintree_table"]
    if table.ndim != 2 or table.shape[0] != 2 or table.dtype.kind not in "iu":
        raise InputError(f"{path}: kintree_table is {table.dtype} {list(table.shape)}, expected whole numbers [2, J]")
    joints = table.shape[1]
    vertices = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
    shapes = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, None),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "f": (None, 3),
    }
    for name, shape in shapes.items():
        array = arrays[name]
        kinds = "iu" if name == "f" else "fiu"
        fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape))
        if not fits or array.dtype.kind not in kinds or not (np.abs(array.astype(np.float64)) < LIMIT).all():
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise InputError(f"{path}: {name} is {array.dtype} {list(array.shape)}, expected float32s [{wanted}]")
    faces = arrays["f"].astype(np.int64)
    if faces.size and (faces.min() < 0 or faces.max() >= vertices):
        raise InputError(f"{path}: f names a vertex that there is not; the file is damaged")
    if vertices == 0 or np.abs(arrays["weights"].sum(axis=1) - 1).max() > 1e-3:
        raise InputError(f"{path}: weights do not sum to 1 for each vertex; the file is damaged")
    return BodyModel(
        *(jnp.asarray(arrays[name], jnp.float32) for name in NAMES[:5]),
        faces=jnp.asarray(faces, jnp.int32),
        parents=_parents(path, table),
    )


def _parents(path: pathlib.Path, table: np.ndarray) -> tuple[int, ...]:
    """The parent of each joint, in the order of the joints."""
    parents, own = (row.astype(np.int64).tolist() for row in table)
    parents[0] = -1 if parents[0] in (-1, NO_PARENT) else parents[0]
    if own != list(range(len(own))) or parents[0] != -1 or any(not 0 <= p < j for j, p in enumerate(parents) if j):
        raise InputError(f"{path}: kintree_table is no tree from joint 0 with parents before children; correct it")
    return tuple(parents)

"""Rotations of the body model's joints as joints in space: what their errors are in millimetres."""

import pathlib
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jmpose_jax.body_model.files import read_body_model
from jmpose_jax.body_model.rotations import from_six
from jmpose_jax.body_model.skinning import HIGHEST, pose_body
from jmpose_jax.errors import InputError

BATCH = 64  # poses at once: the transforms of all vertices are held


class BodyJoints:
    """Joints of a body in poses: those that the model's regressor finds on the posed mesh, in its mean shape."""

    def __init__(self, path: str | pathlib.Path, joints: int):
        """Read the user's file.

        Args:
          path: of the body model.
          joints: whose rotations there are.

        Raises:
          InputError: the file is at fault, or its body has other joints.
        """
        body = read_body_model(path)
        if body.num_joints != joints:
            raise InputError(f"{path}: the body has {body.num_joints} joints, the data {joints} rotations; give theirs")

        def joints_of(six: jax.Array) -> jax.Array:
            vertices, _ = pose_body(body, from_six(six))
            return jnp.einsum("jv,tvd->tjd", body.joint_regressor, vertices, precision=HIGHEST)

        self._joints_of = jax.jit(joints_of)
        self.roots = (0,)

    def __call__(self, sequences: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Sequences float [T, J, 6] as float64 [T, J, 3], metres; frames in which a rotation is not known are NaN."""
        return [self._one(np.asarray(six, np.float32)) for six in sequences]

    def _one(self, six: np.ndarray) -> np.ndarray:
        known = np.isfinite(six).all(axis=(1, 2))
        found = np.full((*six.shape[:2], 3), np.nan)
        for first in range(0, len(six), BATCH):
            part = np.nan_to_num(six[first : first + BATCH])
            padded = np.pad(part, [(0, BATCH - len(part)), (0, 0), (0, 0)])  # always as many: compiled once
            found[first : first + BATCH] = np.asarray(self._joints_of(padded), np.float64)[: len(part)]
        found[~known] = np.nan
        return found

"""SmoothNet's window."""

import jax
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences.smoothnet import SmoothNet


def test_coordinates_are_smoothed_alike_and_alone(random_variables):
    model = SmoothNet(window=8, hidden=6, residual_hidden=4, blocks=2)
    poses = np.random.default_rng(0).standard_normal((2, 8, 3)).astype(np.float32)
    variables = random_variables(model, poses)
    found = model.apply(variables, poses).poses
    turned = model.apply(variables, poses[:, :, ::-1]).poses
    np.testing.assert_allclose(found, turned[:, :, ::-1], atol=1e-6)


def test_another_length_is_named():
    with pytest.raises(InputError, match="9 frames.*window is 8"):
        jax.eval_shape(lambda key: SmoothNet(window=8).init(key, np.zeros((1, 9, 3))), jax.random.key(0))

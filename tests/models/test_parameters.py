"""Layers that are given their parameters do not call their initialisers, and still look at the shapes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from jmpose_jax.models.parameters import Conv, Shaped

IMAGE = jnp.ones((1, 4, 4, 2))


def counting(calls):
    def init(key, shape, dtype=jnp.float32):
        calls.append(shape)
        return nn.initializers.lecun_normal()(key, shape, dtype)

    return init


def test_drawn_as_flax_draws_and_called_when_made_alone():
    calls = []
    ours, flax = Conv(3, (3, 3), kernel_init=counting(calls)), nn.Conv(3, (3, 3))
    variables = ours.init(jax.random.key(1), IMAGE)
    assert calls == [(3, 3, 2, 3)]
    jax.tree.map(np.testing.assert_array_equal, variables, flax.init(jax.random.key(1), IMAGE))
    np.testing.assert_array_equal(ours.apply(variables, IMAGE), flax.apply(variables, IMAGE))
    assert len(calls) == 1


def test_shapes_and_absences_are_seen():
    layer = Conv(3, (3, 3))
    variables = layer.init(jax.random.key(1), IMAGE)
    with pytest.raises(ScopeParamShapeError):
        layer.apply(variables, jnp.ones((1, 4, 4, 5)))
    with pytest.raises(ScopeParamNotFoundError):
        layer.apply({"params": {"kernel": variables["params"]["kernel"]}}, IMAGE)


def test_a_missing_parameter_that_may_be_made_is_drawn():
    layer = Conv(3, (3, 3), use_bias=False)
    _, made = layer.apply({}, IMAGE, rngs={"params": jax.random.key(2)}, mutable=["params"])
    assert np.std(made["params"]["kernel"]) > 0


def test_own_modules_name_their_parameters():
    class Scale(Shaped):
        @nn.compact
        def __call__(self, x):
            return x * self.param("scale", nn.initializers.ones, (x.shape[-1],))

    variables = Scale().init(jax.random.key(0), IMAGE)
    np.testing.assert_array_equal(Scale().apply(variables, IMAGE), IMAGE)
    with pytest.raises(ScopeParamShapeError):
        Scale().apply(variables, IMAGE[..., :1])

"""Initial values: reproducible, spread as the initialisers ask, different for every parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.train.initial_values import initial_key


def test_the_numbers_stay_what_they_are():
    bits = jax.random.bits(initial_key(3), (4,))
    np.testing.assert_array_equal(bits, jax.jit(lambda: jax.random.bits(initial_key(3), (4,)))())
    np.testing.assert_array_equal(np.asarray(bits), np.array([3286244944, 218940907, 751922093, 3423074300], np.uint32))


def test_normal_and_uniform():
    normal = np.asarray(jax.random.normal(initial_key(0), (400, 400)))
    assert abs(normal.mean()) < 0.01 and abs(normal.std() - 1) < 0.01
    assert np.abs(np.corrcoef(normal) - np.eye(400)).max() < 0.27  # 5.4 standard errors of 80,000 pairs
    counts = np.histogram(jax.random.uniform(initial_key(1), (100_000,)), 50, (0, 1))[0]
    assert np.square(counts - 2000).sum() / 2000 < 90  # chi squared, 49 degrees of freedom: 1 in 3,000


def test_keys_differ():
    keys = jax.random.split(initial_key(0), 1000)
    more = jax.vmap(jax.random.fold_in, (None, 0))(initial_key(0), jnp.arange(1000))
    seeds = jnp.stack([jax.random.key_data(initial_key(i)) for i in range(200)])
    data = np.concatenate([jax.random.key_data(keys), jax.random.key_data(more), seeds])
    assert len(np.unique(data, axis=0)) == 2200
    drawn = jnp.concatenate([jax.vmap(jax.random.bits)(keys), jax.vmap(jax.random.bits)(more)])
    assert len(np.unique(drawn)) >= 1999  # two of 2,000 32-bit numbers are equal once in 2,000 trials


def test_wide_draws_are_refused():
    with pytest.raises(ValueError, match="64 random bits"), jax.enable_x64(True):
        jax.random.bits(initial_key(0), (2,), jnp.uint64)

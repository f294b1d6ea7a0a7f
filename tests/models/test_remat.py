"""Rematerialisation: less memory, the same gradients and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.models.blocks import BasicBlock, ResidualLayer
from jmpose_jax.models.remat import rematerialising


@pytest.fixture(scope="module")
def compiled():
    """Memory, gradients and statistics of a chain of six blocks, kept and computed again."""
    model = ResidualLayer(BasicBlock, 8, 6)
    x = jax.random.normal(jax.random.key(0), (4, 16, 16, 8))
    variables = jax.jit(model.init)(jax.random.key(1), x)

    def objective(params, x):
        y, updated = model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.mean(jnp.square(y)), updated["batch_stats"]

    found = {}
    for remat in (False, True):
        with rematerialising(remat):
            program = jax.jit(jax.grad(objective, has_aux=True)).lower(variables["params"], x).compile()
        memory = program.memory_analysis().temp_size_in_bytes
        found[remat] = (memory, *program(variables["params"], x))
    return found


def test_blocks_computed_again_take_less_memory(compiled):
    assert compiled[True][0] < 0.6 * compiled[False][0]


def test_gradients_and_statistics_stay_the_same(compiled):
    for ours, theirs in zip(compiled[True][1:], compiled[False][1:]):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)
    means = [x for p, x in jax.tree_util.tree_leaves_with_path(compiled[True][2]) if "mean" in str(p)]
    assert means and all(np.any(np.asarray(x) != 0) for x in means)

"""Cross-attention: the lineage's channel attention, and the memory-bounded spatial form against the plain one."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.attention import cross_attention


@pytest.mark.parametrize(("name", "heads"), [("jm_channel_attention_small", 1), ("jm_channel_attention_2heads", 2)])
def test_channel_attention_equals_the_lineage(shared, name, heads):
    """The golden's keys and values are one convolution, its queries another; its last linear layer is left out."""
    folder = shared / "golden" / "public"
    tolerance = json.loads((folder / f"{name}.json").read_text())["outputs"]["pre_fc_o"]["tol_abs"]
    with np.load(folder / f"{name}.npz") as z:
        query, memory = (jnp.moveaxis(jnp.asarray(z[k]), 1, -1) for k in ("q_conv", "kv_conv"))
        expected = z["pre_fc_o"]
    out = jax.jit(functools.partial(cross_attention, heads=heads))(query, memory, memory)
    batch, height, width, channels = out.shape
    np.testing.assert_allclose(
        jnp.moveaxis(out, -1, 1).reshape(batch, channels, height * width), expected, atol=tolerance
    )


def _maps(seed=0, shape=(2, 5, 7, 6)):
    return list(np.random.default_rng(seed).normal(size=(3, *shape)).astype(np.float32))


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("chunk", [4, 35, 64])
def test_chunked_spatial_attention_equals_the_plain_form(heads, chunk):
    maps = _maps()

    def value_and_gradient(mode):
        def scalar(*maps):
            return jnp.sum(jnp.sin(cross_attention(*maps, mode=mode, heads=heads, query_chunk=chunk)))

        return jax.jit(jax.value_and_grad(scalar, argnums=(0, 1, 2)))(*maps)

    chunked, plain = value_and_gradient("spatial"), value_and_gradient("spatial_full")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), chunked, plain)


def test_attention_averages_the_values():
    query, key, value = _maps()
    for mode in ("channel", "spatial", "spatial_full"):
        attend = jax.jit(functools.partial(cross_attention, mode=mode))
        constant = attend(query, key, np.full_like(value, 3.0))
        np.testing.assert_allclose(constant, 3.0, rtol=1e-5, err_msg=mode)


def test_faults_are_named():
    maps = _maps()
    with pytest.raises(InputError, match="diagonal"):
        cross_attention(*maps, mode="diagonal")
    with pytest.raises(InputError, match="heads=4"):
        cross_attention(*maps, mode="channel", heads=4)
    with pytest.raises(InputError, match="heads=5"):
        cross_attention(*maps, mode="spatial", heads=5)

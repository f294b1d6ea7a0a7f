"""The interaction blocks: the lineage's official outputs at the paper's size, and Eq. 6 to 10 by NumPy."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from scipy.signal import correlate2d

from jmpose_jax.models.blocks import ChainOfBasicBlocks
from jmpose_jax.models.jmpose.mutual_learning import JointMotionInteraction
from jmpose_jax.ops.attention import cross_attention
from jmpose_jax.weights.blocks import chain_of_basic_blocks
from jmpose_jax.weights.convert import to_variables


def test_its_parts_equal_the_official_block(official):
    """The public code shares one attention, followed by a linear layer over the pixels, which the paper has not."""
    case = official("jm_fuseblock7_full")
    maps = {name: _input(case, name) for name in ("spa", "fre")}
    chain = ChainOfBasicBlocks(48, 1)
    for name in maps:
        mapping = {k.removeprefix(f"{name}."): v for k, v in case.state_dict.items() if k.startswith(f"{name}.")}
        abstract = jax.eval_shape(lambda key, x: chain.init(key, x), jax.random.key(0), maps[name])
        variables, _ = to_variables(name, chain_of_basic_blocks(1), abstract, mapping)
        maps[name] = jax.jit(chain.apply)(variables, maps[name])
        case.check(f"{name}_blk", maps[name])

    weights = {key.removeprefix("fre_att."): v for key, v in case.state_dict.items() if key.startswith("fre_att.")}
    conv = nn.Conv(48, (3, 3), padding=((1, 1), (1, 1)))
    linear = next(key.removesuffix(".weight") for key, value in weights.items() if value.shape == (6912, 6912))

    @jax.jit
    def attend(x, condition):
        query, memory = (
            conv.apply({"params": {"kernel": np.moveaxis(weights[f"{n}.weight"], (2, 3, 1, 0), range(4)),
                                   "bias": weights[f"{n}.bias"]}}, y)
            for n, y in (("cnn_cond", condition), ("cnn", x))
        )  # fmt: skip
        return cross_attention(query, memory, memory)

    def project(attended):
        flat = np.moveaxis(np.asarray(attended), -1, 1).reshape(48, 6912)
        flat = flat @ weights[f"{linear}.weight"].T + weights[f"{linear}.bias"]
        return np.moveaxis(flat.reshape(1, 48, 96, 72), 1, -1)

    spa, fre = maps["spa"], maps["fre"]
    first = attend(fre, spa)
    case.check("att1_pre_fc_o", np.moveaxis(np.asarray(first), -1, 1).reshape(1, 48, 6912))
    fre = project(first)
    case.check("att1_out", fre)
    spa = project(attend(spa, fre))
    fre = project(attend(fre, spa))
    spa = project(attend(spa, fre))
    case.check("y", 0.5 * fre + 0.5 * spa)


def _input(case, name):
    """An input that the golden file does not store: drawn again from its seed."""
    spec = case.spec["inputs"][name]
    drawn = case.generator.normal(case.spec["seed"], f"input:jm_fuseblock7_full:{name}", tuple(spec["shape"]))
    return np.moveaxis(np.asarray(drawn, np.float32), 1, -1)


@pytest.mark.parametrize(("seed", "size", "heads"), [(3, (6, 4), 1), (4, (4, 8), 2)])
def test_equations_7_to_10_by_numpy(random_variables, seed, size, heads):
    rng = np.random.default_rng(seed)
    joint, motion = rng.normal(0, 1, (2, 2, *size, 6)).astype(np.float32)
    block = JointMotionInteraction(heads=heads, gate="literal")
    variables = random_variables(block, joint, motion, seed=seed)
    (found_joint, found_motion), kept = jax.jit(
        lambda v, j, m: block.apply(v, j, m, capture_intermediates=True, mutable="intermediates")
    )(variables, joint, motion)
    # The residual blocks of Eq. 6 have official outputs of their own (test_blocks.py).
    joint, motion = (
        np.asarray(kept["intermediates"][f"{name}_blocks"]["__call__"][0], np.float64) for name in ("joint", "motion")
    )
    expected = []
    for name, asking, answering in (("joint", joint, motion), ("motion", motion, joint)):
        parts = {"query": asking, "key": answering, "value": answering}
        q, k, v = (_convolve(x, variables["params"][f"{name}_{part}"]) for part, x in parts.items())
        x = asking + _channel_attention(q, k, v, heads)
        expected.append(x / (1 + np.exp(-x)))  # the literal gate of Eq. 9 and 10: each feature masks itself
    np.testing.assert_allclose(found_joint, expected[0], atol=2e-5)
    np.testing.assert_allclose(found_motion, expected[1], atol=2e-5)


def test_shared_projections_equal_independent_ones_of_the_same_values(random_variables):
    joint, motion = np.random.default_rng(0).normal(0, 1, (2, 1, 4, 3, 6)).astype(np.float32)
    shared = JointMotionInteraction(qkv="shared", gate="literal")
    variables = random_variables(shared, joint, motion)
    copied = dict(variables["params"])
    query, memory = copied.pop("query"), copied.pop("memory")
    for name in ("joint", "motion"):
        copied |= {f"{name}_query": query, f"{name}_key": memory, f"{name}_value": memory}
    independent = JointMotionInteraction(gate="literal")
    found, expected = jax.jit(lambda v, w: (shared.apply(v, joint, motion), independent.apply(w, joint, motion)))(
        variables, variables | {"params": copied}
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


def _convolve(x, params):
    kernel, padded = np.asarray(params["kernel"], np.float64), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for b in range(x.shape[0]):
        for i in range(kernel.shape[2]):
            for o in range(kernel.shape[3]):
                out[b, ..., o] += correlate2d(padded[b, ..., i], kernel[:, :, i, o], "valid")
    return out + np.asarray(params["bias"], np.float64)


def _channel_attention(q, k, v, heads):
    batch, height, width, channels = q.shape
    q, k, v = (a.reshape(batch, heads, -1, channels) for a in (q, k, v))
    logits = np.einsum("bhpc,bhpd->bhcd", q, k) / np.sqrt(height * width / heads)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bhcd,bhpd->bhpc", weights, v).reshape(batch, height, width, channels)

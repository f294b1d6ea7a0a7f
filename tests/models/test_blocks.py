import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.models.blocks import (
    LINEAGE_INIT,
    BasicBlock,
    Bottleneck,
    ChainOfBasicBlocks,
    ChainOfRSBBlocks,
    ConvBN,
    ResidualLayer,
    repeat_blocks,
)
from jmpose_jax.weights.blocks import chain_of_basic_blocks, chain_of_rsb_blocks
from jmpose_jax.weights.convert import to_mapping, to_variables


def count(module, *shape):
    variables = jax.eval_shape(lambda key: module.init(key, jnp.zeros(shape)), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("name", "module", "table"),
    [
        ("cobb_48_48_1", ChainOfBasicBlocks(48, 1), chain_of_basic_blocks(1)),
        ("cobb_96_48_3", ChainOfBasicBlocks(48, 3), chain_of_basic_blocks(3)),
        ("rsb_chain_75_15", ChainOfRSBBlocks(15, 1), chain_of_rsb_blocks(1)),
        ("rsb_chain_60_34_x2", ChainOfRSBBlocks(34, 2), chain_of_rsb_blocks(2)),
    ],
)
def test_equals_official(official, name, module, table):
    case = official(name)
    x = case.input("x")
    abstract = jax.eval_shape(lambda key: module.init(key, x), jax.random.key(0))
    variables, report = to_variables(name, table, abstract, case.state_dict)
    case.check("y", jax.jit(module.apply)(variables, x))
    back = to_mapping(name, table, variables)
    assert set(back) == set(case.state_dict)
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in report.matched)


@pytest.mark.parametrize(
    ("features_in", "module", "parameters"),
    [
        (48, ChainOfBasicBlocks(48, 1), 44_064),
        (96, ChainOfBasicBlocks(48, 1), 67_104),
        (192, ChainOfBasicBlocks(48, 2), 154_848),
        (75, ChainOfRSBBlocks(15, 1), 94_275),
        (85, ChainOfRSBBlocks(17, 1), 120_887),
    ],
)
def test_parameters_of_the_published_chains(features_in, module, parameters):
    assert count(module, 1, 8, 8, features_in) == parameters


def test_chain_without_projection_keeps_plain_shortcuts():
    assert count(ChainOfBasicBlocks(48, 2, project=False), 1, 8, 8, 48) == 2 * (44_064 - 2_400)
    assert count(ChainOfBasicBlocks(48, 1, project=False), 1, 8, 8, 96) == 67_104


def test_stride_two_reads_the_pixels_that_pytorch_reads():
    """Padding of (1, 1) centres the kernel on even pixels; "SAME" would centre it on odd ones."""
    x = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    module = ConvBN(1, strides=2)
    variables = module.init(jax.random.key(0), x)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    variables["params"]["conv"]["kernel"] = kernel
    y = module.apply(variables, x)
    np.testing.assert_allclose(y[0, :, :, 0], x[0, ::2, ::2, 0], rtol=1e-4)


def test_repeated_blocks_equal_the_unrolled_chain_in_value_gradient_and_statistics(random_variables):
    x = jax.random.normal(jax.random.key(0), (2, 6, 5, 4))
    module = ChainOfBasicBlocks(4, 3, project=False)
    variables = random_variables(module, x)
    block = BasicBlock(4)

    def unrolled(variables, x):
        statistics = []
        for i in range(3):
            one = jax.tree.map(lambda leaf, i=i: leaf[i], {k: v["blocks"] for k, v in variables.items()})
            x, updated = block.apply(one, x, True, mutable=["batch_stats"])
            statistics.append(updated["batch_stats"])
        return (x**2).sum(), jax.tree.map(lambda *leaves: jnp.stack(leaves), *statistics)

    def scanned(variables, x):
        y, updated = module.apply(variables, x, True, mutable=["batch_stats"])
        return (y**2).sum(), updated["batch_stats"]["blocks"]

    (value, statistics), gradient = jax.jit(jax.value_and_grad(scanned, has_aux=True))(variables, x)
    (value0, statistics0), gradient0 = jax.jit(jax.value_and_grad(unrolled, has_aux=True))(variables, x)
    np.testing.assert_allclose(value, value0, rtol=1e-5)
    for ours, theirs in ((statistics, statistics0), (gradient["params"], gradient0["params"])):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, theirs)


def test_blocks_of_a_chain_start_from_different_values():
    module = ChainOfBasicBlocks(4, 3, project=False)
    variables = jax.jit(lambda key: module.init(key, jnp.zeros((1, 4, 4, 4))))(jax.random.key(0))
    kernels = variables["params"]["blocks"]["conv1"]["conv"]["kernel"]
    assert not np.allclose(kernels[0], kernels[1])


def test_training_mode_moves_the_running_statistics_by_a_tenth():
    x = 5.0 + jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
    module = ConvBN(3, 1)
    variables = module.init(jax.random.key(1), x)
    y, updated = module.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-4)
    features = np.einsum("bhwi,io->bhwo", x, variables["params"]["conv"]["kernel"][0, 0])
    statistics = updated["batch_stats"]["bn"]["norm"]
    np.testing.assert_allclose(statistics["mean"], 0.1 * features.mean((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(statistics["var"], 0.9 + 0.1 * features.var((0, 1, 2)), rtol=1e-3)


def test_kernel_initialiser_is_an_option():
    wide = ConvBN(64).init(jax.random.key(0), jnp.zeros((1, 4, 4, 32)))["params"]["conv"]["kernel"]
    narrow = ConvBN(64, kernel_init=LINEAGE_INIT).init(jax.random.key(0), jnp.zeros((1, 4, 4, 32)))
    np.testing.assert_allclose(wide.std(), 1 / np.sqrt(9 * 32), rtol=0.05)
    np.testing.assert_allclose(narrow["params"]["conv"]["kernel"].std(), 1e-3, rtol=0.05)


def test_bfloat16_computation_keeps_float32_parameters(random_variables):
    module = ChainOfBasicBlocks(8, 2, dtype=jnp.bfloat16)
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 8))
    abstract = jax.eval_shape(lambda key: module.init(key, x), jax.random.key(1))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(abstract)} == {"float32"}
    variables = random_variables(module, x)
    y = jax.jit(module.apply)(variables, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(y), jax.jit(ChainOfBasicBlocks(8, 2).apply)(variables, x), atol=0.15)


def test_residual_layer_strides_and_widens():
    module = ResidualLayer(Bottleneck, 4, 3, strides=2)
    y, _ = jax.eval_shape(lambda key: module.init_with_output(key, jnp.zeros((1, 8, 6, 5))), jax.random.key(0))
    assert y.shape == (1, 4, 3, 16)


def test_one_repeated_block_is_the_block_itself():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
    block = BasicBlock(3)
    variables = block.init(jax.random.key(1), x)
    once = block.apply(variables, x, method=lambda module, x: repeat_blocks(module, x, False, 1))
    np.testing.assert_array_equal(once, block.apply(variables, x))

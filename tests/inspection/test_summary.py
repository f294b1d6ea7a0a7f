"""The summary of a model: parameters and operations by hand, loops counted turn by turn, XLA's count without loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jmpose_jax.inspection.summary import count_flops, describe_shapes, summarize, table
from jmpose_jax.models import RAFT, HRNet


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Conv(4, (3, 3), padding=((1, 1), (1, 1)), name="conv")(x))


class Looped(nn.Module):
    turns: int

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (1, 1), name="first")(x)
        loop = nn.scan(
            lambda module, x: (module(x), None),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.turns,
        )
        x, _ = loop(Block(name="block"), x)
        return nn.Dense(7, name="last")(x.mean((1, 2)))


@pytest.mark.parametrize("turns", [1, 5])
def test_parameters_and_operations_by_hand(turns):
    rows = {row.path: row for row in summarize(Looped(turns), jax.ShapeDtypeStruct((2, 6, 8, 3), jnp.float32))}
    pixels = 2 * 6 * 8
    first, block, last = 2 * pixels * 3 * 4, 2 * pixels * 9 * 4 * 4, 2 * 2 * 4 * 7
    assert rows[("first",)].flops == first
    assert rows[("block", "conv")].flops == rows[("block",)].flops == turns * block
    assert rows[("last",)].flops == last
    assert rows[()].flops == first + turns * block + last
    assert rows[()].parameters == (3 * 4 + 4) + turns * (9 * 4 * 4 + 4) + (4 * 7 + 7)
    assert rows[("block",)].outputs == "[2, 6, 8, 4]"
    assert list(rows)[:3] == [(), ("first",), ("block",)]


def test_groups_strides_and_branches():
    def program(x, kernel):
        y = jax.lax.conv_general_dilated(
            x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=2
        )
        return jax.lax.cond(
            y.sum() > 0, lambda y: y @ jnp.ones((6, 10)), lambda y: y @ jnp.ones((6, 2)) @ jnp.ones((2, 10)), y
        )

    x, kernel = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 2, 6))
    convolution = 2 * (4 * 4 * 6) * (3 * 3 * 2)
    assert count_flops(jax.make_jaxpr(program)(x, kernel).jaxpr).total() == convolution + 2 * 16 * 6 * 10


def test_the_gradient_of_a_convolution_with_a_stride_is_two_more_of_it():
    def convolution(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def loss(x, kernel):
        return jnp.square(convolution(x, kernel)).sum()

    x, kernel = jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 4, 6))
    once = 2 * (2 * 4 * 4 * 6) * (3 * 3 * 4)
    assert count_flops(jax.make_jaxpr(convolution)(x, kernel).jaxpr).total() == once
    gradient = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(x, kernel)
    assert count_flops(gradient.jaxpr).total() == pytest.approx(3 * once, rel=0.01)


def test_kernels_count_every_block_and_split_programs_every_device():
    from jax.experimental import pallas as pl

    def product(a, b, out):
        out[...] = a[...] @ b[...]

    def kernel(a, b):
        return pl.pallas_call(
            product,
            grid=(4, 2),
            in_specs=[pl.BlockSpec((8, 16), lambda i, j: (i, 0)), pl.BlockSpec((16, 8), lambda i, j: (0, j))],
            out_specs=pl.BlockSpec((8, 8), lambda i, j: (i, j)),
            out_shape=jax.ShapeDtypeStruct((a.shape[0], b.shape[1]), jnp.float32),
            interpret=True,
        )(a, b)

    a, b = jnp.ones((32, 16)), jnp.ones((16, 16))
    assert count_flops(jax.make_jaxpr(kernel)(a, b).jaxpr).total() == 2 * 32 * 16 * 16

    axes = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.sharding.AbstractMesh((4, 2), ("data", "model"), axis_types=axes)
    split, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()
    with jax.sharding.use_abstract_mesh(mesh):
        mapped = jax.shard_map(jnp.matmul, in_specs=(split, whole), out_specs=split, check_vma=False)
        assert count_flops(jax.make_jaxpr(mapped)(a, b).jaxpr).total() == 2 * 32 * 16 * 16


def test_agrees_with_the_cost_analysis_of_xla_where_nothing_loops():
    model = HRNet(
        width=8,
        num_joints=3,
        stem_features=(8, 8),
        stem_block="basic",
        stem_blocks=1,
        stage_modules=(1,),
        blocks_per_branch=1,
    )
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    ours = summarize(model, images)[0].flops
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    theirs = jax.jit(model.apply).lower(variables, images).cost_analysis()["flops"]
    # XLA leaves out multiplications with padding, and counts the elementwise operations.
    assert abs(ours - theirs) < 0.1 * theirs


@pytest.mark.slow
def test_published_totals_and_raft_iterations():
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    few, many = (summarize(RAFT("small"), image, image, iterations=n) for n in (2, 12))
    assert few[0].parameters == 990_162
    update = {row.path: row.flops for row in few}[("update",)]
    assert many[0].flops - few[0].flops == 5 * update > 0
    text = table(few, depth=1)
    assert "RAFTUpdate" in text and "GRU" not in text and "990,162 parameters" in text
    assert describe_shapes((jnp.ones(3), jnp.ones(3), jnp.ones((1, 2)))) == "2 x [3], [1, 2]"

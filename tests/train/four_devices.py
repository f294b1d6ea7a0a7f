"""Steps on one and on four virtual devices compared; prints one JSON line. Started by test_four_devices.py."""

import json
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jmpose_jax.inspection import hlo
from jmpose_jax.models.blocks import ConvBN
from jmpose_jax.models.raft.network import RAFT
from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.train import sharding
from jmpose_jax.train.optimizers import Optimizer
from jmpose_jax.train.state import create_state
from jmpose_jax.train.step import jit_step, make_train_step

OPTIMIZER = Optimizer("adamw", weight_decay=0.01).create(lambda step: 0.02)


class Model(nn.Module):
    """Two normalised convolutions, the second wide enough to be split by a rule."""

    dtype: Any = None

    @nn.compact
    def __call__(self, batch, train=False):
        x = batch.frames[:, 0].astype(jnp.float32) / 255
        x = ConvBN(16, activation=nn.relu, dtype=self.dtype, name="narrow")(x, train)
        x = ConvBN(128, activation=nn.relu, dtype=self.dtype, name="wide")(x, train)
        maps = nn.Conv(2, (1, 1), name="head")(x.astype(jnp.float32))
        return PoseOutput(heatmaps=maps, initial_heatmaps=maps[:, None])


def loss(output, batch):
    error = jnp.square(output.heatmaps - batch.keypoints[:, :1, :1, None])
    return {"near": (error.sum(), jnp.float32(error.size))}


def batch_of(size):
    """Examples that differ in brightness: statistics of a part of them are not those of all."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 60, (size, 1, 8, 8, 3)) + np.linspace(0, 190, size).reshape(size, 1, 1, 1, 1)
    return ClipBatch(
        frames=frames.astype(np.uint8),
        keypoints=rng.normal(size=(size, 2, 2)).astype(np.float32),
        joint_weights=np.ones((size, 2), np.float32),
        transform=np.zeros((size, 2, 3), np.float32),
        box_score=np.ones(size, np.float32),
        index=np.arange(size, dtype=np.int32),
        valid=np.ones(size, np.float32),
    )


def train(start, devices, batch, rules=(), dtype=None):
    """The state after some steps, the losses, and the wide kernel's shape on one device and in whole."""
    mesh = sharding.data_mesh(jax.devices()[:devices])
    shardings = sharding.state_sharding(start, mesh, rules)
    state = jax.device_put(start, shardings)
    step, losses = jit_step(make_train_step(Model(dtype), OPTIMIZER, loss), shardings, mesh), []
    for _ in range(3):
        with jax.set_mesh(mesh):
            state, metrics = step(state, sharding.put_batch(batch, mesh), {"near": np.float32(1)})
        losses.append(float(metrics["loss/near"]))
    kernel = max(jax.tree.leaves(state.params["wide"]), key=lambda x: x.size)
    return jax.device_get(state), losses, [list(kernel.sharding.shard_shape(kernel.shape)), list(kernel.shape)]


def difference(a, b):
    """The largest difference over the largest value, over all arrays of two trees."""
    worst = [np.abs(x - y).max() / max(np.abs(y).max(), 1e-6) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))]
    return float(max(worst))


def exchanges_of_raft():
    """How the devices exchange data when RAFT encodes a batch that is split over them."""
    network, images = RAFT("small"), jax.ShapeDtypeStruct((8, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(lambda key, x: network.init(key, x, x, 1), jax.random.key(0), images)
    mesh = sharding.data_mesh()
    whole, split = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("data",)))
    encode = jax.jit(
        lambda v, a, b: network.apply(v, a, b, method="encode"), in_shardings=(whole, split, split), out_shardings=split
    )
    return hlo.totals(hlo.Program(encode.lower(variables, images, images).compile().as_text()).collectives())


def variables_of(state):
    return {"params": state.params, "batch_stats": state.batch_stats}


def main():
    jax.config.update("jax_num_cpu_devices", 4)
    jax.config.update("jax_default_matmul_precision", "highest")
    batch = batch_of(8)
    start = jax.device_get(create_state(Model(), OPTIMIZER, jax.random.key(0), batch))
    one, one_losses, _ = train(start, 1, batch)
    four, four_losses, _ = train(start, 4, batch)
    quarter, _, _ = train(start, 1, jax.tree.map(lambda x: x[:2], batch))
    split, split_losses, split_shape = train(start, 4, batch, ((".*", "fsdp"),))
    half, half_losses, _ = train(start, 4, batch, dtype=jnp.dtype("bfloat16"))
    model, used = Model(), []

    def maps(variables, batch):
        jax.debug.inspect_array_sharding(
            batch.frames, callback=lambda s: used.append(s.shard_shape(batch.frames.shape))
        )
        return model.apply(variables, batch).heatmaps

    uneven = jax.tree.map(lambda x: x[:6], batch)  # does not split over four
    evaluated = sharding.split_over_devices(maps)(variables_of(one), uneven)
    alone = jax.jit(lambda v, b: model.apply(v, b).heatmaps)(variables_of(one), uneven)
    result = {
        "exchanges_of_raft": exchanges_of_raft(),
        "evaluated": difference(evaluated, alone),
        "evaluated_shape": list(evaluated.shape),
        "evaluated_on_a_device": used[0][0],
        "statistics": difference(four.batch_stats, one.batch_stats),
        "statistics_of_a_device": difference(quarter.batch_stats, one.batch_stats),
        "losses": difference(four_losses, one_losses),
        "fsdp": difference(
            [split.params, split.batch_stats, split_losses], [four.params, four.batch_stats, four_losses]
        ),
        "fsdp_shape": split_shape,
        "bfloat16": difference(half_losses, four_losses),
        "bfloat16_types": sorted({str(x.dtype) for x in jax.tree.leaves((half.params, half.batch_stats))}),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

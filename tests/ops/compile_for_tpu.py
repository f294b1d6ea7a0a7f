"""Compiles all gradients of the deformable convolution for a TPU that is not there; prints what the compiler says.

python tests/ops/compile_for_tpu.py TOPOLOGY DTYPE
"""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jmpose_jax.ops.deform_conv import IMPLEMENTATIONS, geometry


def main(topology: str, dtype: str) -> None:
    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
    batch, height, width, channels, groups = 4 * len(devices), 96, 72, 48, 12
    taps = (batch, height, width, groups, 9)
    arguments = (
        jax.ShapeDtypeStruct((batch, height, width, channels), dtype, sharding=split),
        jax.ShapeDtypeStruct((*taps, 2), jnp.float32, sharding=split),
        jax.ShapeDtypeStruct(taps, jnp.float32, sharding=split),
        jax.ShapeDtypeStruct((3, 3, channels, channels), dtype, sharding=whole),
    )
    g = geometry(*arguments, None, 1, 1, 1)

    def loss(*arrays):
        return jnp.sum(IMPLEMENTATIONS["tpu"](*arrays, g) ** 2)

    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3))).lower(*arguments).compile()
    text, memory = compiled.as_text(), compiled.memory_analysis()
    collectives = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
    result = {
        "device": devices[0].device_kind,
        "kernels": text.count('custom_call_target="tpu_custom_call"'),
        "collectives": sorted(set(re.findall(rf" ({collectives})(?:-start)?\(", text))),
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "peak_bytes": getattr(memory, "peak_memory_in_bytes", 0)
        or memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

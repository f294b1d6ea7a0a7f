"""A kernel under a mesh: XLA cannot split its call over devices, so that it is split by hand, along the batch."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, PartitionSpec

BATCH_AXIS = "data"


def batch_devices() -> int:
    """Among how many devices the mesh in force (`jax.set_mesh`) splits a batch; 1 without a mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or BATCH_AXIS not in mesh.axis_names:
        return 1
    # Inside a shard_map the batch is already the device's own part.
    manual = dict(zip(mesh.axis_names, mesh.axis_types))[BATCH_AXIS] == AxisType.Manual
    return 1 if manual else mesh.shape[BATCH_AXIS]


def split_is_known() -> bool:
    """Whether the mesh in force says how a batch is split: it has the axis, or all of its axes are a shard_map's."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return False
    return BATCH_AXIS in mesh.axis_names or all(kind == AxisType.Manual for kind in mesh.axis_types)


def over_batch(call: Callable[..., Any], batched: tuple, replicated: tuple = ()) -> Any:
    """call(*batched, *replicated) on each device's part of the batch.

    Only the kernel is wrapped, never what surrounds it: XLA then partitions the matrix products itself, and one
    all-reduce per gradient of the weights is left.

    Args:
      call: maps arrays to arrays; every result has the batch in front.
      batched: arrays with the batch in front.
      replicated: arrays that every device has whole.
    """
    if batch_devices() == 1:
        return call(*batched, *replicated)
    split, whole = PartitionSpec(BATCH_AXIS), PartitionSpec()
    in_specs = (split,) * len(batched) + (whole,) * len(replicated)
    # Kernels carry no information on which results vary over the mesh, so that this check cannot pass.
    return jax.shard_map(call, in_specs=in_specs, out_specs=split, check_vma=False)(*batched, *replicated)

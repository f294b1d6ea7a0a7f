"""Where arrays live: the batch split over the devices, the state a copy on each."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jmpose_jax.errors import InputError


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A one-axis mesh ("data",) over all devices of all processes."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises InputError unless the global batch splits evenly over the mesh."""
    size = mesh.shape["data"]
    if batch_size % size:
        raise InputError(
            f"config.train.batch_size={batch_size} does not split over {size} devices; use a multiple of {size}"
        )


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Give every process's part of the batch to its devices: leaves [B_local, …] become global arrays [B, …]."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)

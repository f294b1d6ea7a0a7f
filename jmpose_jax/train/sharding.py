"""Where arrays live: the batch split over the devices, the state a copy on each unless rules split it."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jmpose_jax.errors import InputError

SMALLEST_SPLIT = 2**14  # elements; gathering a smaller array costs more than its copies
TACTICS = ("replicated", "fsdp", "model")


PARAMETERS = ("mesh_model", "accumulate", "batch_size", "sharding")  # by which faults are named


def data_mesh(devices: list[jax.Device] | None = None, model: int = 1) -> Mesh:
    """A mesh ("data", "model") over all devices of all processes.

    Args:
      devices: all by default.
      model: devices along "model"; the others go along "data".

    Raises:
      InputError: the devices do not split that way.
    """
    devices = jax.devices() if devices is None else devices
    if model < 1 or len(devices) % model:
        raise InputError(f"mesh_model={model} does not divide the {len(devices)} devices")
    shape = (len(devices) // model, model)
    return jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def check_batch_size(batch_size: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Raises InputError unless the global batch, and each part of it that is accumulated, splits over the mesh."""
    if accumulate < 1:
        raise InputError(f"accumulate={accumulate} must be at least 1, which takes the batch in one piece")
    size = mesh.shape["data"] * accumulate
    if batch_size % size:
        over = f"{mesh.shape['data']} devices" + (f" times {accumulate} parts" if accumulate > 1 else "")
        raise InputError(f"batch_size={batch_size} does not split over {over}; use a multiple of {size}")


def input_share(mesh: Mesh) -> tuple[int, int]:
    """Which part of every batch this process loads, and how many parts there are.

    Processes whose devices stand in the same rows of the mesh (where "model" is longer than a process has devices) hold
    the same examples: they load the same part.

    Raises:
      InputError: processes share some of their rows, but not all.
    """
    rows: dict[int, set[int]] = {}
    for row, devices in enumerate(mesh.devices):
        for device in devices:
            rows.setdefault(device.process_index, set()).add(row)
    parts = sorted({tuple(sorted(found)) for found in rows.values()})
    if sum(map(len, parts)) != mesh.shape["data"] or len({len(part) for part in parts}) != 1:
        raise InputError(
            f"mesh_model={mesh.shape['model']} cuts through the processes' devices; use a multiple or a "
            "divisor of the number of devices of a process"
        )
    return parts.index(tuple(sorted(rows[jax.process_index()]))), len(parts)


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Give every process's part of the batch to its devices: leaves [B_local, …] become global arrays [B, …]."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), batch)


def local_mesh() -> Mesh:
    """A mesh over the devices of this process alone, for work in which processes do not wait for each other."""
    return data_mesh(jax.local_devices())


def local_copy(tree: Any, mesh: Mesh) -> Any:
    """Arrays that lie over a mesh, whole on each device of this process; all processes call it together."""
    whole = jax.jit(lambda x: x, out_shardings=replicated(mesh))(tree)
    return jax.device_put(jax.tree.map(lambda x: x.addressable_data(0), whole), replicated(local_mesh()))


def split_over_devices(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Compile a function of variables and batch so that the batch is split over all devices of this process.

    Args:
      function: its results have the batch's first axis.

    Returns:
      The same function of variables that lie on those devices (`local_copy`; others are copied at each call) and a
      batch of any size, which is filled up where it does not split evenly; its results are NumPy arrays.
    """
    mesh = local_mesh()
    compiled = jax.jit(function)

    def run(variables: Any, batch: Any) -> Any:
        size = len(jax.tree.leaves(batch)[0])
        filled = -size % mesh.devices.size
        if filled:
            batch = jax.tree.map(lambda x: np.concatenate([x, np.repeat(x[-1:], filled, 0)]), batch)
        with jax.set_mesh(mesh):
            found = compiled(jax.device_put(variables, replicated(mesh)), jax.device_put(batch, batch_sharding(mesh)))
        return jax.tree.map(lambda x: np.asarray(x)[:size], found)

    return run


def state_sharding(state: Any, mesh: Mesh, rules: Sequence[tuple[str, str]] = ()) -> Any:
    """Where each array of a state lives.

    Args:
      state: tree of arrays or of their shapes.
      rules: (regular expression, tactic); the first that is found in a path (`params/backbone/conv1/kernel`; the
        optimiser's moments carry the path of their parameter) decides, and without one the array is replicated.
        "fsdp" splits the largest dimension that divides over "data", "model" the last one over "model". Arrays that are
        small or do not divide stay replicated.
      mesh: of `data_mesh`.

    Returns:
      A tree of shardings.

    Raises:
      InputError: a rule is no regular expression or names an unknown tactic.
    """
    compiled = []
    for rule in rules:
        if len(rule) != 2 or isinstance(rule, str):
            raise InputError(f"sharding: {rule!r} is no rule; use e.g. (('backbone/.*kernel', 'fsdp'),)")
        pattern, tactic = rule
        if tactic not in TACTICS:
            raise InputError(f"sharding: {tactic!r} is unknown; use one of {', '.join(TACTICS)}")
        try:
            compiled.append((re.compile(pattern), tactic))
        except re.error as error:
            raise InputError(f"sharding: {pattern!r} is no regular expression: {error}") from None

    def of(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        tactic = next((tactic for pattern, tactic in compiled if pattern.search(name)), "replicated")
        return NamedSharding(mesh, _split(leaf.shape, tactic, mesh))

    return jax.tree_util.tree_map_with_path(of, state)


def _split(shape: tuple[int, ...], tactic: str, mesh: Mesh) -> PartitionSpec:
    if tactic == "replicated" or np.prod(shape) < SMALLEST_SPLIT:
        return PartitionSpec()
    axis = "data" if tactic == "fsdp" else "model"
    candidates = range(len(shape)) if tactic == "fsdp" else [len(shape) - 1]
    fitting = [i for i in candidates if shape[i] % mesh.shape[axis] == 0]
    if mesh.shape[axis] == 1 or not fitting:
        return PartitionSpec()
    chosen = max(fitting, key=lambda i: shape[i])
    return PartitionSpec(*(axis if i == chosen else None for i in range(chosen + 1)))

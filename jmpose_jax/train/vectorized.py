"""Many runs as one program: the step mapped over cells that differ in their loss weights and in nothing else.

The cells see the same batch and start from the same state. What no cell changes (the frozen backbone, its statistics)
is kept once, so that whatever depends on it and the batch alone is computed once for all cells.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.struct
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jmpose_jax.records import ClipBatch
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import TrainStep

AXIS = "grid"
Leaves = list[jax.Array]
CellsStep = Callable[[Leaves, Leaves, ClipBatch, Mapping[str, jax.Array]], tuple[Leaves, dict[str, jax.Array]]]


@flax.struct.dataclass
class Cells:
    """The states of n cells.

    Attributes:
      own: leaves of the state that differ between cells, each [n, …].
      common: leaves that all cells share.
    """

    own: list[jax.Array]
    common: list[jax.Array]


def grid_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A one-axis mesh ("grid",) over all devices."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def common_leaves(
    step: TrainStep, state: TrainState, batch: ClipBatch, weights: Mapping[str, Any], frozen: Sequence[str] = ()
) -> list[bool]:
    """Which leaves of the state a step leaves as they are, whatever the weights.

    Args:
      step: of one cell.
      state, batch, weights: examples.
      frozen: the optimiser's patterns of frozen parameters.

    Returns:
      A truth value for each leaf of the state, in the order of `jax.tree.leaves`.
    """
    jaxpr = jax.make_jaxpr(step)(state, batch, weights).jaxpr
    paths = [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in jax.tree_util.tree_leaves_with_path(state)]
    patterns = [re.compile(f"params/(?:{pattern})") for pattern in frozen]
    handed_on = [out is given for given, out in zip(jaxpr.invars, jaxpr.outvars[: len(paths)])]
    return [same or any(p.match(path) for p in patterns) for path, same in zip(paths, handed_on)]


def spread(state: TrainState, common: Sequence[bool], count: int, mesh: Mesh) -> Cells:
    """`count` cells that all start from one state, laid out over the mesh; `count` is a multiple of its devices."""
    leaves = jax.tree.leaves(state)
    own = NamedSharding(mesh, PartitionSpec(AXIS))
    copies = [
        jax.device_put(np.broadcast_to(np.asarray(x), (count, *x.shape)), own) for x, c in zip(leaves, common) if not c
    ]
    shared = [jax.device_put(x, NamedSharding(mesh, PartitionSpec())) for x, c in zip(leaves, common) if c]
    return Cells(copies, shared)


def cell_state(cells: Cells, index: int, like: TrainState, common: Sequence[bool]) -> TrainState:
    """The state of one cell, as if it had been trained alone."""
    return _merge([x[index] for x in cells.own], cells.common, like, common)


def _merge(own: Sequence[Any], shared: Sequence[Any], like: TrainState, common: Sequence[bool]) -> TrainState:
    mine, others = iter(own), iter(shared)
    leaves = [next(others) if c else next(mine) for c in common]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def make_cells_step(step: TrainStep, like: TrainState, common: Sequence[bool], mesh: Mesh) -> CellsStep:
    """The step of all cells at once; jit it with the first argument donated.

    Args:
      step: of one cell.
      like: a state, for its structure.
      common: from `common_leaves`.
      mesh: devices, each of which takes its part of the cells. `shard_map`, because the cells have nothing to say to
        one another and no device shall wait for another.

    Returns:
      `step(cells.own, cells.common, batch, weights) -> (own, metrics)`, weights and metrics being [n] by name.
    """

    def part(own: list[jax.Array], shared: list[jax.Array], batch: ClipBatch, weights: Mapping[str, jax.Array]):
        def one(mine: tuple[list[jax.Array], Mapping[str, jax.Array]], others: tuple[list[jax.Array], ClipBatch]):
            (own, weights), (shared, batch) = mine, others
            state, metrics = step(_merge(own, shared, like, common), batch, weights)
            return [x for x, c in zip(jax.tree.leaves(state), common) if not c], metrics

        return _for_all(one, (own, weights), (shared, batch), mesh)

    cells_axis, everywhere = PartitionSpec(AXIS), PartitionSpec()
    return jax.shard_map(
        part,
        mesh=mesh,
        in_specs=(cells_axis, everywhere, everywhere, cells_axis),
        out_specs=cells_axis,
        check_vma=False,
    )


def _for_all(one: Callable[[Any, Any], Any], mine: Any, others: Any, mesh: Mesh) -> Any:
    """one(mine[i], others) for all i, what depends on `others` alone being computed once.

    Accelerators are filled by `vmap`, which leaves what no cell changes unbatched. CPUs are full with one cell, and a
    `vmap` costs them time (1.24 times as long a step) and memory (2.7 times; 8 cells of
    `benchmarks.vectorized_grid --small`): there the cells take turns in a loop, out of which XLA moves what is the same
    in every turn, convolutions too. To cut that off by hand gave the same numbers bit for bit in 0.95 of the seconds.
    """
    if _in_turns(mesh):
        return jax.lax.map(lambda cell: one(cell, others), mine)
    return jax.vmap(one, in_axes=(0, None))(mine, others)


def _in_turns(mesh: Mesh) -> bool:
    """Whether the cells of a device take turns."""
    return mesh.devices.flat[0].platform == "cpu"


def stack_weights(weights: Sequence[Mapping[str, float]], count: int, mesh: Mesh) -> dict[str, jax.Array]:
    """Loss weights of the cells by name, each [count]; the last cell's are repeated where there are fewer cells."""
    filled = [*weights, *[weights[-1]] * (count - len(weights))]
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    with np.errstate(over="ignore"):  # a weight beyond float32 is infinite, and its cell turns NaN as it would alone
        return {n: jax.device_put(np.array([w[n] for w in filled], np.float32), sharding) for n in weights[0]}


def program_bytes(compiled: Any) -> int:
    """Bytes that one device needs to run a compiled program: arguments, results that are not donated, scratch."""
    memory = compiled.memory_analysis()
    return int(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
    )


def over_cells(
    function: Callable[[TrainState, ClipBatch], Any], like: TrainState, common: Sequence[bool], mesh: Mesh
) -> Callable[[Cells, ClipBatch], Any]:
    """A function of one cell's state and a batch as a function of all cells; its results are [n, …]."""

    def part(own: list[jax.Array], shared: list[jax.Array], batch: ClipBatch) -> Any:
        def one(own: list[jax.Array], others: tuple[list[jax.Array], ClipBatch]) -> Any:
            return function(_merge(own, others[0], like, common), others[1])

        return _for_all(one, own, (shared, batch), mesh)

    cells_axis, everywhere = PartitionSpec(AXIS), PartitionSpec()
    specs = dict(in_specs=(cells_axis, everywhere, everywhere), out_specs=cells_axis)
    mapped = jax.shard_map(part, mesh=mesh, check_vma=False, **specs)
    return lambda cells, batch: mapped(cells.own, cells.common, batch)

"""`jmpose train --compile_only`: the training step compiled, for devices that need not be there, and what it takes."""

import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import pathlib
import time
from typing import Any

import jax
from jax.experimental import topologies
from ml_collections import ConfigDict

from experiments.command.outputs import place_file
from experiments.configuration.limits import check_limits
from experiments.configuration.naming import as_in_config
from experiments.run.building import build, plain
from experiments.systems import built
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_json
from jmpose_jax.inspection import hlo
from jmpose_jax.inspection.summary import count_flops
from jmpose_jax.ops.target import compiling_for
from jmpose_jax.progress import say
from jmpose_jax.train import sharding
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.step import jit_step

FILE = "compile_only.json"
EXAMPLES = "v5e:8x8, v6e:4x4 or v5p:2x2x2"
MIB = 2**20


def topology_devices(name: str) -> list[Any]:
    """Devices of a TPU slice that need not exist, to compile for.

    Args:
      name: e.g. "v5e:8x8".

    Raises:
      InputError: libtpu is missing, or does not know the slice.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise InputError(f"--topology={name} needs libtpu, the compiler for TPUs: pip install -e '.[tpu]'")
    # libtpu would ask a cloud machine's metadata server who it is, and wait for it where there is none.
    for variable, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),
        ("TPU_ACCELERATOR_TYPE", "v5litepod-4"),
        ("TPU_WORKER_HOSTNAMES", "localhost"),
    ):
        os.environ.setdefault(variable, value)
    # Nothing runs: constants of the trace live on the CPU, and no TPU is looked for.
    jax.config.update("jax_platforms", "cpu")
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--topology={name} cannot be compiled for ({reason}); use e.g. {EXAMPLES}") from error


def compile_only(
    config: ConfigDict, workdir: str | os.PathLike, topology: str | None = None, if_exists: str = "refuse"
) -> dict[str, Any]:
    """Compile the training step of a config and say what it takes; nothing is read or trained.

    Args:
      config: from a file in `configs/`; its data set need not exist.
      workdir: gets `compile_only.json`.
      topology: a TPU slice, e.g. "v5e:8x8"; the devices that are present by default.
      if_exists: what becomes of an earlier `compile_only.json`, see `files.place_results`.

    Returns:
      The content of the file: devices, mesh, memory a device, operations, collectives.

    Raises:
      InputError: the topology is unknown, the batch does not split over its devices, the step does not fit in their
        memory, or the file cannot be written.
    """
    path = place_file(pathlib.Path(workdir) / FILE, if_exists, "--workdir")
    report = described(config, compile_step(config, topology))
    write_json(path, report)
    say(f"wrote {path}")
    return report


@dataclasses.dataclass(frozen=True)
class CompiledStep:
    """A compiled training step.

    Attributes:
      topology: the TPU slice that was asked for.
      mesh: of its devices.
      flops: operations a device and step.
      compiled: the program.
      seconds: what tracing with lowering and compiling took.
    """

    topology: str | None
    mesh: jax.sharding.Mesh
    flops: float
    compiled: Any
    seconds: dict[str, float]


def compile_step(config: ConfigDict, topology: str | None = None) -> CompiledStep:
    """Compile the training step of a config; arguments and errors as `compile_only`."""
    check_limits(config)
    devices = topology_devices(topology) if topology else jax.devices()
    with as_in_config("config.train", *sharding.PARAMETERS):
        mesh = sharding.data_mesh(devices, model=config.train.mesh_model)
        sharding.check_batch_size(config.train.batch_size, mesh, config.train.accumulate)
    system = built(config)
    began = time.perf_counter()
    # The length of an epoch only makes constants of the program, those of the learning rate.
    _, _, step, create = build(config, system, steps_per_epoch=1000)
    batch = system.data.spec(config, config.train.batch_size)
    state: TrainState = jax.eval_shape(create, batch)
    if config.train.ema_decay:
        state = state.replace(ema=state.params)
    with as_in_config("config.train", *sharding.PARAMETERS):
        shardings = sharding.state_sharding(state, mesh, config.train.sharding)
    place = functools.partial(jax.tree.map, lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s))
    say("tracing the step …")
    state = place(state, shardings)
    batch = place(batch, jax.tree.map(lambda _: sharding.batch_sharding(mesh), batch))
    weights = {name: jax.ShapeDtypeStruct((), "float32") for name in system.objective.term_weights()}
    with compiling_for(devices[0]), jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        traced = jit_step(step, shardings, mesh).trace(state, batch, weights)
        lowered = traced.lower()
        lowered_at = time.perf_counter()
        say(f"compiling it for {len(devices)} x {devices[0].device_kind}; a large model takes many minutes …")
        compiled = _compile(lowered)
    seconds = {"trace_and_lower": lowered_at - began, "compile": time.perf_counter() - lowered_at}
    flops = count_flops(traced.jaxpr.jaxpr).total() / len(devices)
    return CompiledStep(topology, mesh, flops, compiled, seconds)


def described(config: ConfigDict, step: CompiledStep) -> dict[str, Any]:
    """What a compiled step takes, for JSON: devices, mesh, memory a device, operations, collectives."""
    program = hlo.Program(step.compiled.as_text())
    devices = step.mesh.devices
    return {
        "topology": step.topology,
        "device_kind": devices.flat[0].device_kind,
        "devices": devices.size,
        "mesh": dict(step.mesh.shape),
        "batch_size": config.train.batch_size,
        "seconds": step.seconds,
        "memory_bytes": _memory(step.compiled),
        "flops": step.flops,
        # For comparison: counts the body of a loop once.
        "xla_cost_analysis": {name: step.compiled.cost_analysis().get(name) for name in ("flops", "bytes accessed")},
        "collectives": hlo.totals(program.collectives()),
        "loops_of_unknown_length": program.unknown_loops,
        "versions": {name: _version(name) for name in ("jax", "jaxlib", "libtpu")},
        "config": plain(config),
    }


def _compile(lowered: Any) -> Any:
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"the step does not fit in a device's memory ({reason}); use a smaller config.train.batch_size, "
            "config.train.accumulate, config.train.remat or config.train.sharding"
        ) from error


def _memory(compiled: Any) -> dict[str, int]:
    """Bytes that the program needs on one device, by purpose."""
    found = compiled.memory_analysis()
    memory = {
        "arguments": found.argument_size_in_bytes,
        "outputs": found.output_size_in_bytes,
        "aliased": found.alias_size_in_bytes,  # outputs in the place of arguments: the donated state
        "temporary": found.temp_size_in_bytes,
        "code": found.generated_code_size_in_bytes,
    }
    return memory | {"total": sum(memory.values()) - 2 * memory["aliased"]}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    memory = ", ".join(f"{name} {size / MIB:,.0f}" for name, size in report["memory_bytes"].items() if name != "total")
    lines = [
        f"{report['devices']} x {report['device_kind']}, mesh {report['mesh']}, batch {report['batch_size']}; compiled "
        f"in {report['seconds']['compile']:.0f} s",
        f"memory a device: {report['memory_bytes']['total'] / MIB:,.0f} MiB ({memory})",
        f"a device and step: {report['flops'] / 1e9:,.1f} GFLOP",
        *(f"{kind}: {n['count']:,} a step, {n['bytes'] / MIB:,.2f} MiB" for kind, n in report["collectives"].items()),
    ]
    if not report["collectives"]:
        lines.append("no collectives")
    if report["loops_of_unknown_length"]:
        lines.append(f"{report['loops_of_unknown_length']} loops of unknown length, counted as one turn")
    return "\n".join(lines)

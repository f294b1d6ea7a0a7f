"""Proof without the hardware: kernels lower for GPU and TPU, and compile for TPU ahead of time."""

import contextlib
import functools
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import pytest

from jmpose_jax.ops.deform_conv import IMPLEMENTATIONS, geometry

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
KERNELS = {"gpu": ("cuda", "__gpu$xla.gpu.triton"), "tpu": ("tpu", "tpu_custom_call")}
COMPILE_TRITON = """
import json, sys, triton
from triton.backends.compiler import GPUTarget
for path in sys.argv[1:]:
    kernel = triton.compile(path, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2})
    local = kernel.asm["ptx"].count("ld.local") + kernel.asm["ptx"].count("st.local")
    print(json.dumps({"machine_code": len(kernel.asm["cubin"]), "shared": kernel.metadata.shared, "local": local}))
"""
# height, width, channels, offset groups, outputs, channel groups, mask
SHAPES = {
    "paper": (96, 72, 48, 12, 48, 1, True),
    "one offset group": (96, 72, 48, 1, 48, 1, False),
    "wide": (24, 18, 256, 2, 160, 1, True),
    "channel groups": (13, 9, 12, 3, 6, 2, True),
}


def _arguments(shape, dtype, batch=2):
    height, width, channels, offset_groups, outputs, groups, masked = SHAPES[shape]
    taps = (batch, height, width, offset_groups, 9)
    return (
        jax.ShapeDtypeStruct((batch, height, width, channels), dtype),
        jax.ShapeDtypeStruct((*taps, 2), jnp.float32),
        jax.ShapeDtypeStruct(taps, jnp.float32) if masked else None,
        jax.ShapeDtypeStruct((3, 3, channels // groups, outputs), dtype),
    )


def _programs(implementation, arguments):
    """Forward, and all gradients."""
    call = functools.partial(IMPLEMENTATIONS[implementation], g=geometry(*arguments, None, 1, 1, 1))
    differentiable = [i for i, a in enumerate(arguments) if a is not None]
    return call, jax.grad(lambda *a: jnp.sum(call(*a)), argnums=differentiable)


def _target(implementation):
    """From jax 0.11 on, the GPU to lower for is named by the mesh in force."""
    from jax.sharding import AbstractMesh, AxisType, use_abstract_mesh

    if implementation != "gpu" or jax.__version_info__ < (0, 11):
        return contextlib.nullcontext()
    from jax.sharding import AbstractDevice

    device = AbstractDevice(device_kind="NVIDIA H100", num_cores=132, platform="gpu")
    return use_abstract_mesh(AbstractMesh((1,), ("_",), (AxisType.Explicit,), abstract_device=device))


@contextlib.contextmanager
def _triton_programs():
    """Collects {kernel: Triton program} of what is lowered within; raises where Triton's own verifier refuses one.

    Lowering alone accepts programs that the verifier refuses, which would first be seen on a GPU.
    """
    from jax._src.pallas.triton import lowering

    programs, original = {}, lowering.lower_jaxpr_to_triton_module

    def watched(*args, **kwargs):
        result = original(*args, **kwargs)
        result.module.operation.verify()
        text = result.module.operation.get_asm(enable_debug_info=False)
        programs[re.search(r"deform_conv_\w+", text).group(0)] = text
        return result

    with mock.patch.object(lowering, "lower_jaxpr_to_triton_module", watched):
        yield programs


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("implementation", KERNELS)
def test_kernels_lower_for_their_platform(implementation, shape, dtype):
    platform, target = KERNELS[implementation]
    arguments = _arguments(shape, dtype)
    with _target(implementation), _triton_programs() as triton:
        for program, kernels in zip(_programs(implementation, arguments), (1, 2)):
            text = jax.jit(program).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
            assert text.count(f"@{target}") + text.count(f'"{target}"') >= kernels
    assert len(triton) == (3 if implementation == "gpu" else 0)
    assert not any("atomic" in program for program in triton.values())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", ["paper", "wide"])
def test_triton_makes_machine_code_for_hopper(tmp_path, shape, dtype):
    """The public Triton compiles without a GPU. XLA brings a Triton of its own: this is evidence, not the same code."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install triton")
    arguments = _arguments(shape, dtype, batch=16)
    with _target("gpu"), _triton_programs() as triton:
        for program in _programs("gpu", arguments):
            jax.jit(program).trace(*arguments).lower(lowering_platforms=("cuda",))
    for name, program in triton.items():
        (tmp_path / f"{name}.ttir").write_text(program)
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", COMPILE_TRITON, *map(str, tmp_path.glob("*.ttir"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    sizes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(sizes) == 3
    assert all(size["machine_code"] > 0 and size["shared"] <= 227 * 1024 and not size["local"] for size in sizes)


@pytest.mark.parametrize("implementation", KERNELS)
def test_a_mapped_kernel_lowers(implementation):
    arguments = _arguments("channel groups", jnp.float32)
    mapped = jax.vmap(_programs(implementation, arguments)[1])
    stacked = [jax.ShapeDtypeStruct((3, *a.shape), a.dtype) for a in arguments]
    with _target(implementation):
        text = jax.jit(mapped).trace(*stacked).lower(lowering_platforms=(KERNELS[implementation][0],)).as_text()
    assert KERNELS[implementation][1] in text


@pytest.mark.tpu_aot
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("topology", ["v5e:2x2", "v6e:2x2"])
def test_kernels_compile_for_tpus_of_the_papers_shape(topology, dtype):
    """libtpu compiles without a TPU; it wants a process of its own, where nothing else has initialised it."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: pip install libtpu")
    script = pathlib.Path(__file__).with_name("compile_for_tpu.py")
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path]),
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    command = [sys.executable, str(script), topology, dtype]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result["kernels"] == 2
    # Four images and their gradients on a device: samples, their gradients and the padded maps, well under its 16 GiB.
    assert 0 < result["peak_bytes"] < 2 * 2**30
    # The gradient of the weights is the one thing that devices share.
    assert result["collectives"] == ["all-reduce"]

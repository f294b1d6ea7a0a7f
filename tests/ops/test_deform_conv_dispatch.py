"""Which implementation is taken, the reason given, and what happens where a kernel cannot serve."""

import json
import os
import pathlib
import subprocess
import sys
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops.deform_conv import choose, dispatch, geometry, modulated_deform_conv2d

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def _call(batch=2, size=(6, 5), channels=4, groups=2, dtype=jnp.float32):
    rng = np.random.default_rng(0)
    taps = (batch, *size, groups, 9)
    return (
        jnp.asarray(rng.normal(size=(batch, *size, channels)), dtype),
        jnp.asarray(rng.normal(size=(*taps, 2)), jnp.float32),
        jnp.asarray(rng.uniform(size=taps), jnp.float32),
        jnp.asarray(rng.normal(size=(3, 3, channels, 3)), dtype),
    )


def _geometry(arrays):
    return geometry(*arrays, None, 1, 1, 1)


@pytest.fixture(autouse=True)
def _no_preference(monkeypatch):
    monkeypatch.delenv(dispatch.ENVIRONMENT, raising=False)
    dispatch._warn.cache_clear()


@pytest.fixture
def device(monkeypatch):
    def pretend(platform, kind, **attributes):
        fake = types.SimpleNamespace(platform=platform, device_kind=kind, **attributes)
        monkeypatch.setattr(dispatch, "target_device", lambda: fake)

    return pretend


@pytest.mark.parametrize(
    ("platform", "kind", "attributes", "expected", "because"),
    [
        ("cpu", "cpu", {}, "xla", "no kernel is made for cpu"),
        ("tpu", "TPU v5 lite", {}, "tpu", "TPU"),
        ("gpu", "NVIDIA H100", {"compute_capability": "9.0"}, "gpu", "9.0"),
        ("gpu", "Tesla V100", {"compute_capability": "7.0"}, "xla", "Tesla V100"),
        ("gpu", "AMD Instinct MI300X", {"compute_capability": "gfx942"}, "xla", "AMD"),
    ],
)
def test_the_device_decides(device, platform, kind, attributes, expected, because):
    device(platform, kind, **attributes)
    choice = choose(_geometry(_call()), jnp.float32)
    assert (choice.implementation, choice.fallback) == (expected, False)
    assert because in choice.reason


def test_the_environment_decides_where_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv(dispatch.ENVIRONMENT, "tpu_interpret")
    choice = choose(_geometry(_call()), jnp.float32)
    assert choice.implementation == "tpu_interpret" and dispatch.ENVIRONMENT in choice.reason
    assert choose(_geometry(_call()), jnp.float32, "xla").implementation == "xla"
    monkeypatch.setenv(dispatch.ENVIRONMENT, "magic")
    with pytest.raises(InputError, match="magic"):
        choose(_geometry(_call()), jnp.float32)


@pytest.mark.parametrize("kernel", ["gpu", "tpu"])
def test_what_a_kernel_cannot_take_falls_back_with_one_warning(kernel):
    arrays = _call(dtype=jnp.float16)
    expected = modulated_deform_conv2d(*arrays, implementation="xla")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [modulated_deform_conv2d(*arrays, implementation=kernel) for _ in range(2)]
    assert len(caught) == 1 and "float16" in str(caught[0].message) and kernel in str(caught[0].message)
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_limits_are_named():
    shape = jax.ShapeDtypeStruct
    wide = (shape((1, 64, 20000, 8), jnp.float32), shape((1, 64, 20000, 1, 9, 2), jnp.float32), None)
    call = (*wide, shape((3, 3, 8, 8), jnp.float32))
    assert "vector memory" in choose(_geometry(call), jnp.float32, "tpu").reason
    taps = shape((1, 9, 9, 1, 81, 2), jnp.float32)
    many = geometry(shape((1, 9, 9, 4), jnp.float32), taps, None, shape((9, 9, 4, 4), jnp.float32), None, 1, 4, 1)
    assert "81 taps" in choose(many, jnp.float32, "tpu").reason
    assert choose(many, jnp.float32, "gpu").implementation == "gpu"
    large = (shape((8, 512, 512, 256), jnp.float32), shape((8, 512, 512, 1, 9, 2), jnp.float32), None)
    call = (*large, shape((3, 3, 256, 8), jnp.float32))
    assert "32-bit" in choose(_geometry(call), jnp.float32, "gpu").reason


def test_an_empty_batch_needs_no_warning():
    choice = choose(_geometry(_call(batch=0)), jnp.float32, "tpu")
    assert choice.implementation == "xla" and not choice.fallback


def test_several_devices_need_a_mesh_to_split_a_kernel(device, monkeypatch):
    device("tpu", "TPU v5 lite")
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    choice = choose(_geometry(_call()), jnp.float32)
    assert choice.implementation == "xla" and choice.fallback and "jax.set_mesh" in choice.reason
    assert choose(_geometry(_call()), jnp.float32, "tpu").implementation == "tpu"


SHARDED = """
import json
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jmpose_jax.ops.deform_conv import choose, geometry, modulated_deform_conv2d

jax.config.update("jax_default_matmul_precision", "highest")
rng = np.random.default_rng(0)
shapes = (8, 5, 4, 4), (8, 5, 4, 2, 9, 2), (8, 5, 4, 2, 9), (3, 3, 4, 3)
arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
placed = [jax.device_put(a, whole if i == 3 else split) for i, a in enumerate(arrays)]
fast = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def program(implementation):
    def loss(*arrays):
        return jnp.sum(modulated_deform_conv2d(*arrays, implementation=implementation) ** 2)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)), compiler_options=fast)


expected = program("xla")(*arrays)
for implementation in ("xla", "gpu_interpret", "tpu_interpret"):
    with jax.set_mesh(mesh):
        compiled = program(implementation).lower(*placed).compile()
        found = compiled(*placed)
    error = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected)))
    largest = max(float(jnp.max(jnp.abs(b))) for b in jax.tree.leaves(expected))
    print(json.dumps({
        "implementation": implementation, "devices": jax.device_count(), "error": error / largest,
        "gathers": compiled.as_text().count("all-gather("), "split": found[1][0].sharding.spec == split.spec,
    }))
with jax.set_mesh(mesh):
    odd = geometry(*(a[:6] if i < 3 else a for i, a in enumerate(arrays)), None, 1, 1, 1)
    print(json.dumps({"odd": choose(odd, jnp.float32, "tpu").reason}))
"""


def test_a_batch_split_over_four_devices_gives_the_same_numbers():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path]),
    }
    command = [sys.executable, "-c", SHARDED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    *results, odd = map(json.loads, done.stdout.splitlines())
    assert [r["implementation"] for r in results] == ["xla", "gpu_interpret", "tpu_interpret"]
    for result in results:
        assert result["devices"] == 4 and result["error"] < 1e-5
        assert result["gathers"] == 0 or result["implementation"] == "xla"
        assert result["split"] or result["implementation"] == "xla"
    assert "does not split over the 4 devices" in odd["odd"]

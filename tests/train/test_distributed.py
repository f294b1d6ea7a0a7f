"""Who joins whom, by flags and by what schedulers leave in the environment; where arrays live; checksums."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from jmpose_jax.errors import InputError
from jmpose_jax.train import guards, sharding
from jmpose_jax.train.distributed import cluster_settings

ADDRESS = "node0:1234"


@pytest.mark.parametrize(
    "flags, environment, expected",
    [
        ((None, None, None, "auto"), {}, None),
        ((ADDRESS, 2, 1, "auto"), {}, {"coordinator_address": ADDRESS, "num_processes": 2, "process_id": 1}),
        ((ADDRESS, 2, 1, "off"), {}, None),
        ((None, None, None, "detect"), {}, {}),
        ((None, None, None, "auto"), {"SLURM_STEP_NUM_TASKS": "4"}, {}),
        ((None, None, None, "auto"), {"SLURM_STEP_NUM_TASKS": "1"}, None),
        ((None, None, None, "auto"), {"SLURM_NTASKS": "4"}, None),  # inside salloc, outside srun
        ((None, None, None, "auto"), {"TPU_WORKER_HOSTNAMES": "a,b"}, {}),
        ((None, None, None, "auto"), {"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        (
            (None, None, None, "auto"),
            {"JAX_COORDINATOR_ADDRESS": ADDRESS, "JAX_NUM_PROCESSES": "4", "JOB_COMPLETION_INDEX": "3"},
            {"coordinator_address": ADDRESS, "num_processes": 4, "process_id": 3},
        ),
    ],
)
def test_cluster_settings(flags, environment, expected):
    assert cluster_settings(*flags, environment) == expected


@pytest.mark.parametrize(
    "flags, environment, message",
    [
        ((ADDRESS, None, 1), {}, "needs --num_processes and --process_id"),
        ((None, 2, 1), {}, "need --coordinator"),
        ((ADDRESS, 2, 2), {}, "--process_id=2 is not below --num_processes=2"),
        ((ADDRESS, None, 0), {"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES='two' is no number"),
    ],
)
def test_settings_that_are_incomplete_are_named(flags, environment, message):
    with pytest.raises(InputError, match=message):
        cluster_settings(*flags, "auto", environment)


def test_rules_decide_by_path_and_small_arrays_stay_whole():
    mesh = AbstractMesh((4, 2), ("data", "model"))
    state = {
        "params": {"backbone": {"kernel": np.zeros((3, 3, 64, 128)), "bias": np.zeros(128)}},
        "odd": {"kernel": np.zeros((3, 3, 65, 127))},
    }
    rules = (("backbone/.*", "fsdp"), ("odd", "fsdp"))
    found = sharding.state_sharding(state, mesh, rules)
    assert found["params"]["backbone"]["kernel"].spec == PartitionSpec(None, None, None, "data")
    assert found["params"]["backbone"]["bias"].spec == PartitionSpec()
    assert found["odd"]["kernel"].spec == PartitionSpec()
    by_model = sharding.state_sharding(state, mesh, (("kernel", "model"),))
    assert by_model["params"]["backbone"]["kernel"].spec == PartitionSpec(None, None, None, "model")
    with pytest.raises(InputError, match="'fdsp' is unknown"):
        sharding.state_sharding(state, mesh, (("a", "fdsp"),))
    with pytest.raises(InputError, match="is no regular expression"):
        sharding.state_sharding(state, mesh, (("(", "fsdp"),))
    for rules in (("kernel", "fsdp"), (("kernel",),)):  # the first lacks its comma
        with pytest.raises(InputError, match="is no rule; use e.g."):
            sharding.state_sharding(state, mesh, rules)


def test_batches_and_devices_that_do_not_split_are_named():
    mesh = AbstractMesh((4, 2), ("data", "model"))
    sharding.check_batch_size(8, mesh, 2)
    with pytest.raises(InputError, match="batch_size=12 does not split over 4 devices times 2 parts"):
        sharding.check_batch_size(12, mesh, 2)
    with pytest.raises(InputError, match="mesh_model=3 does not divide the 1 devices"):
        sharding.data_mesh(jax.devices()[:1], model=3)
    with pytest.raises(InputError, match="accumulate=0 must be at least 1"):
        sharding.check_batch_size(8, mesh, 0)


@pytest.mark.parametrize(
    "processes, share",  # of the devices of each row of the mesh; this process is number 0
    [
        ([[0, 0], [0, 0]], (0, 1)),
        ([[0, 0], [1, 1]], (0, 2)),
        ([[1, 1], [0, 0]], (1, 2)),
        ([[0], [1], [0], [1]], (0, 2)),
        ([[0, 0, 1, 1]], (0, 1)),  # "model" spans both: they hold the same examples
        ([[2, 3], [0, 1]], (1, 2)),
    ],
)
def test_processes_that_hold_the_same_rows_of_the_mesh_load_the_same_examples(processes, share):
    assert sharding.input_share(mesh_of(processes)) == share


def test_a_mesh_that_cuts_through_processes_is_refused():
    with pytest.raises(InputError, match="mesh_model=2 cuts through the processes' devices"):
        sharding.input_share(mesh_of([[0, 0], [0, 1], [1, 1]]))


def mesh_of(processes):
    devices = np.array([[types.SimpleNamespace(process_index=p) for p in row] for row in processes])
    return types.SimpleNamespace(devices=devices, shape=dict(zip(("data", "model"), devices.shape)))


def test_a_checksum_sees_one_flipped_bit_and_two_exchanged_values():
    tree = {"a": jnp.arange(6.0), "b": jnp.array([True, False]), "c": jnp.ones(3, jnp.bfloat16), "d": jnp.int32(7)}
    first = guards.state_checksum(tree)
    assert guards.state_checksum(jax.tree.map(jnp.copy, tree)) == first
    bits = np.arange(6.0, dtype=np.float32)
    bits.view(np.uint32)[3] ^= 1 << 31
    for changed in (
        {"a": jnp.asarray(bits)},
        {"a": jnp.arange(6.0)[jnp.array([0, 2, 1, 3, 4, 5])]},
        {"b": jnp.array([False, True])},
        {"d": jnp.int32(8)},
    ):
        assert guards.state_checksum(tree | changed) != first

"""Rates, utilisation, memory and slow hosts."""

import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jmpose_jax.inspection import throughput
from jmpose_jax.inspection.throughput import Throughput, hosts, memory, step_flops
from jmpose_jax.train import sharding
from jmpose_jax.train.writers import read_metrics


def test_rates_and_utilisation_are_of_the_time_since_the_last_call(monkeypatch):
    clock = iter([100.0, 101.0, 101.5, 103.0, 104.0, 110.0, 110.0, 111.0, 111.0])
    monkeypatch.setattr(throughput, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(throughput, "peak_flops", lambda devices: 1e12)
    asked = []
    meter = Throughput([])  # at 100
    for _ in range(2):
        with meter.waiting_for_input():  # 0.5 s, then 1 s: from 101 and from 103
            pass
    found = meter.scalars(16, lambda: asked.append(1) or 2e12)  # at 110
    assert found["steps_per_second"] == pytest.approx(0.2)
    assert found["clips_per_second"] == pytest.approx(3.2)
    assert found["input_wait"] == pytest.approx(0.15)
    assert found["mfu"] == pytest.approx(2 * 2e12 / 10 / 1e12)
    assert "host_skew" not in found  # one process
    assert meter.scalars(16, lambda: asked.append(1) or 2e12)["mfu"] == 0
    assert len(asked) == 1


def test_utilisation_is_not_given_for_devices_without_a_published_peak():
    meter = Throughput(jax.devices())
    with meter.waiting_for_input():
        time.sleep(0.01)
    found = meter.scalars(4, lambda: pytest.fail("nobody needs it"))
    assert "mfu" not in found
    assert 0 < found["input_wait"] <= 1


def test_the_slowest_host_is_the_one_that_waits_most_for_input():
    found = hosts(np.array([[0.50, 0.1], [0.52, 0.7], [0.48, 0.0]]))
    assert found == pytest.approx({"host_skew": 0.52 / 0.48, "input_wait_slowest_host": 0.7, "slowest_host": 1.0})


def test_memory_is_the_devices_where_it_is_counted_and_else_the_processs(monkeypatch):
    assert memory()["host_memory_peak_bytes"] > 50e6
    devices = [types.SimpleNamespace(memory_stats=lambda n=n: {"peak_bytes_in_use": n}) for n in (5, 7)]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert memory() == {"device_memory_peak_bytes": 7.0}


def test_operations_count_every_turn_of_a_loop_and_do_not_depend_on_how_arrays_are_split():
    mesh = sharding.data_mesh()
    step = jax.jit(lambda x, w: jax.lax.fori_loop(0, 5, lambda i, x: x @ w, x))
    whole = NamedSharding(mesh, PartitionSpec())
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32, sharding=whole) for shape in ((8, 16), (16, 16))]
    assert step_flops(mesh, step, *arguments) == 5 * 2 * 8 * 16 * 16


def test_the_loop_writes_what_was_measured(tiny_run, tmp_path):
    tiny_run(workdir=tmp_path, steps=4, log_every=2, save_every=4)
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [2, 4]
    names = {"steps_per_second", "clips_per_second", "input_wait", "host_memory_peak_bytes"}
    assert all(names <= line.keys() and "mfu" not in line for line in lines)
    assert lines[1]["clips_per_second"] == pytest.approx(8 * lines[1]["steps_per_second"])

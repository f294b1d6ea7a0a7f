"""Scaling on paper against times worked out by hand."""

import types

import pytest

from jmpose_jax.train.chips import CHIPS, Chip, peak_flops
from jmpose_jax.train.hlo import Collective
from jmpose_jax.train.scaling import HOP_SECONDS, paper_times

CHIP = Chip(flops=100e12, memory=16e9, bandwidth=1e12, port=50e9, ring=16)


def test_a_mesh_of_eight_by_eight_sends_through_the_two_ports_of_its_corner():
    gradients = Collective("all-reduce", 100_000_000, 64, 1)
    times = paper_times(1e12, 5e9, [gradients], CHIP, (8, 8))
    assert times.compute == pytest.approx(0.01)
    assert times.memory == pytest.approx(0.005)
    assert times.transfer == pytest.approx(2 * 1e8 * 63 / 64 / 100e9)
    assert times.latency == pytest.approx(2 * 14 * HOP_SECONDS)
    assert times.step == pytest.approx(0.01 + times.transfer + times.latency)
    assert times.efficiency == pytest.approx(0.01 / times.step)


def test_rings_have_twice_the_ports_and_half_the_way():
    small = Collective("all-gather", 1000, 0, 3)
    mesh, torus = (paper_times(1e12, 0, [small], CHIP, shape) for shape in ((8, 8), (16, 16)))
    assert torus.transfer == pytest.approx(mesh.transfer / 2 * (255 / 256) / (63 / 64))
    assert mesh.latency == pytest.approx(3 * 14 * HOP_SECONDS)
    assert torus.latency == pytest.approx(3 * 16 * HOP_SECONDS)


def test_one_chip_and_groups_of_one_send_nothing():
    for collective, shape in (
        (Collective("all-reduce", 1000, 64, 1), (1, 1)),
        (Collective("all-to-all", 9, 1, 1), (8, 8)),
    ):
        times = paper_times(1e12, 2e10, [collective], CHIP, shape)
        assert times.transfer == times.latency == 0
        assert times.efficiency == 1
        assert times.step == pytest.approx(0.02)  # bound by memory


def _device(kind, number, coords=None):
    return types.SimpleNamespace(device_kind=kind, id=number, process_index=0, coords=coords)


def test_peaks_are_of_chips_and_of_known_ones_only():
    assert peak_flops([_device("NVIDIA H100 80GB HBM3", i) for i in range(8)]) == 8 * 989e12
    two_cores = [_device("TPU v4", i, (i // 2, 0, 0)) for i in range(4)]
    assert peak_flops(two_cores) == 2 * CHIPS["TPU v4"].flops
    assert peak_flops([_device("NVIDIA L4", 0), _device("cpu", 1)]) is None

"""Scaling on paper against times worked out by hand."""

import pytest

from benchmarks.paper_times import HOP_SECONDS, paper_times, scaling, table
from jmpose_jax.inspection.chips import Chip
from jmpose_jax.inspection.hlo import Collective

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


def test_slices_of_other_sizes_are_worked_out_from_one():
    report = {"device_kind": "TPU v5 lite", "flops": 197e10, "moved_bytes": 819e6}
    rows = scaling(report, [Collective("all-reduce", 10**8, 64, 1)], "v5e:8x8")
    assert [row["chips"] for row in rows] == [4, 16, 64, 256]
    assert all(row["compute"] == pytest.approx(0.01) and row["memory"] == pytest.approx(0.001) for row in rows)
    assert rows[2]["transfer"] == pytest.approx(2 * 1e8 * 63 / 64 / 100e9)
    assert rows[3]["transfer"] < rows[2]["transfer"]  # 16 x 16 closes to rings
    assert scaling(report | {"device_kind": "cpu"}, [], "v5e:8x8") == []
    assert table(rows).count("\n") == 5 and "16x16       256" in table(rows)

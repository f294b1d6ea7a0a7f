"""The peaks of the devices that are there."""

import types

from jmpose_jax.inspection.chips import CHIPS, peak_flops


def _device(kind, number, coords=None):
    return types.SimpleNamespace(device_kind=kind, id=number, process_index=0, coords=coords)


def test_peaks_are_of_chips_and_of_known_ones_only():
    assert peak_flops([_device("NVIDIA H100 80GB HBM3", i) for i in range(8)]) == 8 * 989e12
    two_cores = [_device("TPU v4", i, (i // 2, 0, 0)) for i in range(4)]
    assert peak_flops(two_cores) == 2 * CHIPS["TPU v4"].flops
    assert peak_flops([_device("NVIDIA L4", 0), _device("cpu", 1)]) is None

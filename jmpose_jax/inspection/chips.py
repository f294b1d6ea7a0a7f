"""Published figures of accelerators, for utilisation and for scaling on paper."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Chip:
    """What one chip can do at best.

    Attributes:
      flops: bfloat16 (on older GPUs float16) matrix operations a second, without sparsity.
      memory: bytes of main memory; 0 where no figure is needed.
      bandwidth: bytes a second of main memory.
      port: bytes a second, one way, of one port of the chips' own interconnect; TPUs only.
      ring: a torus axis of this length or a multiple of it closes to a ring; 0 where none does.
    """

    flops: float
    memory: float = 0.0
    bandwidth: float = 0.0
    port: float = 0.0
    ring: int = 0


# Keys are JAX's names of device kinds. TPUs: docs.cloud.google.com/tpu/docs/{v4,v5e,v5p,v6e}, tables of specifications;
# a port's one-way rate is the bidirectional bandwidth of the chip over its ports (4; v5p 6) and the two directions.
# GPUs: NVIDIA's data sheets of the products, tensor cores without sparsity.
CHIPS = {
    "TPU v4": Chip(275e12),
    "TPU v5 lite": Chip(197e12, 16e9, 819e9, 50e9, ring=16),
    "TPU v5": Chip(459e12, 95 * 2**30, 2765e9, 100e9, ring=4),
    "TPU v6 lite": Chip(918e12, 32e9, 1638e9, 100e9, ring=16),
    "Tesla V100-SXM2-16GB": Chip(125e12),
    "Tesla V100-SXM2-32GB": Chip(125e12),
    "Tesla T4": Chip(65e12),
    "NVIDIA L4": Chip(121e12),
    "NVIDIA A100-SXM4-40GB": Chip(312e12),
    "NVIDIA A100-SXM4-80GB": Chip(312e12),
    "NVIDIA A100 80GB PCIe": Chip(312e12),
    "NVIDIA H100 80GB HBM3": Chip(989e12),
    "NVIDIA H100 PCIe": Chip(756e12),
    "NVIDIA H200": Chip(989e12),
}


def peak_flops(devices: Sequence) -> float | None:
    """Operations a second that devices reach together at best; None where one is not in the table.

    Args:
      devices: JAX's devices. On TPUs where each core of a chip is a device of its own, a chip counts once.
    """
    if any(device.device_kind not in CHIPS for device in devices):
        return None
    seen, total = set(), 0.0
    for device in devices:
        place = (device.process_index, tuple(getattr(device, "coords", None) or (device.id,)))
        if place not in seen:
            seen.add(place)
            total += CHIPS[device.device_kind].flops
    return total

"""How long a compiled step takes at least, on paper: from its operations, its bytes and its collectives."""

import dataclasses
import math
from collections.abc import Sequence

from jmpose_jax.train.chips import Chip
from jmpose_jax.train.hlo import Collective

# A message to a neighbouring chip takes about a microsecond however small it is; an order of magnitude, not a
# published figure ("How to Scale Your Model", jax-ml.github.io/scaling-book, works with the same).
HOP_SECONDS = 1e-6


@dataclasses.dataclass(frozen=True)
class PaperTimes:
    """Least times of one step, seconds.

    Attributes:
      compute: operations over the chip's peak.
      memory: bytes over the memory's bandwidth.
      transfer: the collectives' bytes over the interconnect's bandwidth.
      latency: the hops that the collectives' messages take one after the other.
    """

    compute: float
    memory: float
    transfer: float
    latency: float

    @property
    def step(self) -> float:
        """Seconds of a step: computing and moving overlap, collectives hide behind nothing."""
        return max(self.compute, self.memory) + self.transfer + self.latency

    @property
    def efficiency(self) -> float:
        """A step's time without collectives over its time with them."""
        return max(self.compute, self.memory) / self.step


def paper_times(
    flops: float, memory_bytes: float, collectives: Sequence[Collective], chip: Chip, topology: Sequence[int]
) -> PaperTimes:
    """Least times on a torus or mesh of chips, each with the same part of the batch whatever their number.

    A collective over all chips sends its bytes through the ports of the chip that has the fewest, a corner where the
    axes are no rings; all-reduce twice (scatter, gather), the others once. Those over a part of the chips are counted
    alike, with their own number of chips.

    Args:
      flops, memory_bytes: of one chip and step.
      collectives: of one step.
      chip: its figures.
      topology: chips along each axis, e.g. (8, 8).
    """
    chips = math.prod(topology)
    axes = [length for length in topology if length > 1]
    rings = [bool(chip.ring) and length % chip.ring == 0 for length in axes]
    rate = chip.port * sum(2 if ring else 1 for ring in rings)
    hops = sum(length // 2 if ring else length - 1 for length, ring in zip(axes, rings))
    transfer = latency = 0.0
    for one in collectives:
        devices = min(one.devices or chips, chips)
        if devices <= 1 or not rate:
            continue
        passes = 2 if one.kind == "all-reduce" else 1
        transfer += one.count * passes * one.size * (devices - 1) / devices / rate
        latency += one.count * passes * hops * HOP_SECONDS
    return PaperTimes(flops / chip.flops, memory_bytes / chip.bandwidth, transfer, latency)

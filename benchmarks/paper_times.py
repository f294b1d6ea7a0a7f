"""How long a compiled step takes at least, on paper: from its operations, its bytes and its collectives.

  python -m benchmarks.paper_times --config configs/jmpose.py:paper --topology v5e:8x8 --batch_size 128 --output F.json

It compiles the step as `jmpose train --compile_only` does, for a TPU slice that need not be there.
"""

import argparse
import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks.memory_traffic import Traffic
from experiments.configuration.files import load
from experiments.run.compile_only import compile_step, described
from jmpose_jax.files import write_json
from jmpose_jax.inspection.chips import CHIPS, Chip
from jmpose_jax.inspection.hlo import Collective

PAPER = "slice     chips  compute   memory  transfer  latency     step  efficiency"
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


def scaling(report: dict[str, Any], collectives: list[Collective], topology: str | None) -> list[dict[str, Any]]:
    """Least times of a step on slices of growing size, each chip with the same part of the batch.

    Args:
      report: with device_kind, flops and moved_bytes.
      collectives: of one step.
      topology: the compiled slice; the others are a quarter, half and twice as long along each axis.

    Returns:
      One row a slice with its times in seconds; none without a topology or a chip's figures.
    """
    chip = CHIPS.get(report["device_kind"])
    if topology is None or chip is None or not chip.port:
        return []
    shape = tuple(int(length) for length in topology.rpartition(":")[2].split("x"))
    rows = []
    slices = {tuple(max(1, int(n * factor)) for n in shape) for factor in (0.25, 0.5, 1, 2)}
    for slice_ in sorted(slices, key=math.prod):
        times = paper_times(report["flops"], report["moved_bytes"], collectives, chip, slice_)
        rows.append(
            {"slice": list(slice_), "chips": math.prod(slice_), **dataclasses.asdict(times)}
            | {"step": times.step, "efficiency": times.efficiency}
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of `scaling` as text."""
    lines = ["least times on paper, ms; nothing hidden behind computation", PAPER]
    lines += [
        f"{'x'.join(map(str, row['slice'])):<9} {row['chips']:>5} {1e3 * row['compute']:>8.2f} "
        f"{1e3 * row['memory']:>8.2f} {1e3 * row['transfer']:>9.3f} {1e3 * row['latency']:>8.3f} "
        f"{1e3 * row['step']:>8.2f} {100 * row['efficiency']:>9.1f} %"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="config file with its variant")
    parser.add_argument("--topology", required=True, help="TPU slice, e.g. v5e:8x8")
    parser.add_argument("--batch_size", type=int, help="by default the config's")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    arguments = parser.parse_args()
    config = load(arguments.config)
    if arguments.batch_size:
        config.train.batch_size = arguments.batch_size
    step = compile_step(config, arguments.topology)
    traffic = Traffic(step.compiled.as_text())
    report = described(config, step) | {"moved_bytes": traffic.memory_bytes()}
    report["paper"] = scaling(report, traffic.collectives(), arguments.topology)
    print(f"{report['moved_bytes'] / 1e9:,.2f} GB of memory traffic a device and step")
    print(table(report["paper"]))
    if arguments.output:
        write_json(arguments.output, report)


if __name__ == "__main__":
    main()

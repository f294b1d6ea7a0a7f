"""What a compiled program sends, read from its HLO text: the collectives, each as often as it runs.

XLA's own cost analysis counts the body of a loop once, however often the loop runs; our models loop over equal blocks
and over RAFT's iterations. Here every computation counts as often as it runs.
"""

import dataclasses
import functools
import math
import re
from collections import Counter, defaultdict

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_CALLERS = {"while", "conditional", "call", "async-start"}  # what others call (a fusion, a reduction) has no own memory
_ARRAY = re.compile(r"(pred|[a-z]+\d+\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_CALLS = re.compile(r"(?:body|condition|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_CALL_LISTS = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of HLO: `%name = type opcode(%operands), attributes`."""

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]
    rest: str

    @functools.cached_property
    def calls(self) -> tuple[str, ...]:
        listed = [name.strip(" %") for group in _CALL_LISTS.findall(self.rest) for name in group.split(",")]
        return (*_CALLS.findall(self.rest), *listed)


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective of a program.

    Attributes:
      kind: one of COLLECTIVES.
      size: bytes of the whole array that a device ends or begins with: of what is summed, of what is gathered together.
      devices: how many take part; 0 where the program does not say (all).
      count: how often it runs in one call of the program.
    """

    kind: str
    size: int
    devices: int
    count: int


class Program:
    """A compiled program, from `compiled.as_text()`.

    Attributes:
      computations: instructions by name, of every computation by name.
      runs: how often each computation runs.
      fused: names of those that others call, as a fusion or a reduction does; they have no memory of their own.
      unknown_loops: loops whose number of turns the text does not say; they count as one turn.
    """

    def __init__(self, text: str):
        self.computations, self.entry = _parse(text)
        self.unknown_loops = 0
        self.runs: Counter[str] = Counter()
        self.fused: set[str] = set()
        self._count(self.entry, 1)

    def _count(self, name: str, times: int) -> None:
        self.runs[name] += times
        for instruction in self.computations[name].values():
            turns = self._turns(instruction) if instruction.opcode == "while" else 1
            if instruction.opcode not in _CALLERS:
                self.fused.update(instruction.calls)
            for called in instruction.calls:
                if called in self.computations:
                    self._count(called, times * turns)

    def _turns(self, loop: Instruction) -> int:
        """How often a loop's body runs; TPU programs say it in the condition alone (`i < n`, i from 0 by 1)."""
        known = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest)
        if known:
            return int(known[1])
        condition = re.search(r"condition=%?([\w.\-]+)", loop.rest)
        inner = self.computations.get(condition[1], {}) if condition else {}
        for instruction in inner.values():
            if instruction.opcode == "compare" and "direction=LT" in instruction.rest:
                bound = inner.get(instruction.operands[1])
                if bound is not None and bound.opcode == "constant":
                    return int(re.match(r"\d+", bound.rest)[0])
        self.unknown_loops += 1
        return 1

    def collectives(self) -> list[Collective]:
        """All collectives, in the order of the text."""
        found = []
        for name, instructions in self.computations.items():
            for instruction in instructions.values():
                kind = instruction.opcode.removesuffix("-start")
                if kind not in COLLECTIVES or not self.runs[name]:
                    continue
                devices = _group_size(instruction.rest)
                size = size_of(result_of(instruction), plain=True)
                if kind == "reduce-scatter":
                    size *= max(devices, 1)
                found.append(Collective(kind, size, devices, self.runs[name]))
        return found


def totals(collectives: list[Collective]) -> dict[str, dict[str, int]]:
    """{kind: {"count", "bytes"}} of one call, kinds in the order of COLLECTIVES."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in collectives:
        found[one.kind] += Counter(count=one.count, bytes=one.count * one.size)
    return {kind: dict(found[kind]) for kind in COLLECTIVES if kind in found}


def _parse(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    computations: dict[str, dict[str, Instruction]] = {}
    current, entry = None, ""
    for line in text.splitlines():
        header = None if line.startswith(" ") else re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\{$", line)
        if header:
            current = computations.setdefault(header[2], {})
            entry = header[2] if header[1] else entry
        elif current is not None and " = " in line:
            left, right = line.split(" = ", 1)
            end = _closing(right, 0) if right.startswith("(") else right.index(" ")
            opened = right.index("(", end)
            closed = _closing(right, opened)
            name = left.removeprefix("  ROOT").strip(" %")
            operands = tuple(re.findall(r"%([\w.\-]+)", right[opened:closed]))
            # Parameters and constants keep their number or value, the others their attributes alone.
            opcode = right[end:opened].strip()
            rest = right[opened + 1 :] if opcode in ("parameter", "constant") else right[closed:]
            current[name] = Instruction(name, right[:end], opcode, operands, rest)
    return computations, entry


def _closing(text: str, start: int) -> int:
    """Position after the bracket that closes the one at `start`."""
    depth = 0
    for match in re.compile(r"[()]").finditer(text, start):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.end()
    return len(text)


def result_of(instruction: Instruction) -> str:
    """The type of what an instruction computes; the beginning of an asynchronous one also carries its operands."""
    if instruction.opcode in ("all-gather-start", "collective-permute-start", "copy-start"):
        arrays = _split(instruction.type[1:-1])
        return arrays[0] if instruction.opcode == "copy-start" else arrays[1]
    return instruction.type


def _split(text: str) -> list[str]:
    """The elements of a tuple type."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"[(){}\[\],]", text):
        if match[0] == ",":
            if depth == 0:
                parts.append(text[start : match.start()])
                start = match.end()
        else:
            depth += 1 if match[0] in "({[" else -1
    return [*parts, text[start:]]


def size_of(type_: str, *, fused: bool = False, plain: bool = False) -> int:
    """Bytes of a type in main memory.

    Args:
      type_: of an array or a tuple of arrays.
      fused: it stands inside a fusion, where layouts do not say where an array lives.
      plain: without padding, wherever it lives: what goes over the network.
    """
    total = 0
    for kind, shape, layout in _ARRAY.findall(type_):
        if "S(1)" in layout and not (fused or plain):
            continue
        dims = [int(d) for d in shape.split(",") if d]
        tile = re.search(r"T\(([\d,]+)\)", layout)
        if tile and dims and not plain:
            order = [int(d) for d in layout.split(":")[0].split(",") if d]
            for axis, unit in zip(order, reversed([int(t) for t in tile[1].split(",")])):
                dims[axis] = -(-dims[axis] // unit) * unit
        bits = 8 if kind == "pred" else int(re.search(r"\d+", kind)[0])
        total += math.prod(dims) * bits // 8
    return total


def _group_size(rest: str) -> int:
    """How many devices one group of a collective has, from the three ways in which HLO writes groups."""
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", rest)
    if listed:
        return len(listed[1].split(","))
    iota = re.search(r"replica_groups=\[\d+,(\d+)\]<=", rest)
    if iota:
        return int(iota[1])
    mesh = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", rest)
    if mesh:
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes.get(axis, 1)) for axis in re.findall(r"'(\w+)'", mesh[2]))
    return 0

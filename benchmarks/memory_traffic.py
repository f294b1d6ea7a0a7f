"""The bytes that a compiled program reads from and writes to main memory, from its HLO text.

XLA's own cost analysis counts the body of a loop once, however often the loop runs; here it counts as often as it runs.
"""

import math

from jmpose_jax.inspection.hlo import Instruction, Program, result_of, size_of

# Hands arrays on, or is counted by what it calls.
FREE = {
    *("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while", "conditional", "call", "iota"),
    *("after-all", "partition-id", "replica-id", "opt-barrier", "async-start"),
}
SLICES = ("slice", "dynamic-slice", "gather")


class Traffic(Program):
    """A compiled program, from `compiled.as_text()`."""

    def memory_bytes(self) -> int:
        """Bytes read from and written to main memory in one call, tiles' padding included.

        Every instruction outside fusions reads its operands and writes its result; of an operand that is only sliced,
        the slices count. What lies in a TPU's vector memory (`S(1)`) costs nothing.
        """
        total = 0
        for name, instructions in self.computations.items():
            if not self.runs[name] or name in self.fused:
                continue
            moved = sum(self._moved(instruction, instructions) for instruction in instructions.values())
            total += self.runs[name] * moved
        return total

    def _moved(self, instruction: Instruction, around: dict[str, Instruction]) -> int:
        if instruction.opcode in FREE or instruction.opcode.endswith(("-done", "-update")):
            return 0
        if instruction.opcode in SLICES:
            source = around.get(instruction.operands[0])
            read = size_of(instruction.type, fused=True) if source is None or size_of(source.type) else 0
            return read + size_of(instruction.type)
        if instruction.opcode == "dynamic-update-slice":
            return 2 * size_of(around[instruction.operands[1]].type)
        body = self.computations.get(instruction.calls[0]) if instruction.opcode == "fusion" else None
        written = size_of(result_of(instruction)) if body is None else min(size_of(instruction.type), _written(body))
        read = 0
        for number, operand in enumerate(instruction.operands):
            size = size_of(around[operand].type) if operand in around else 0
            read += size if body is None or not size else min(size, _read(body, number))
        return read + written


def _read(body: dict[str, Instruction], number: int) -> int:
    """Bytes of its parameter `number` that a fusion reads: the slices where it is only sliced."""
    parameter = next((i for i in body.values() if i.opcode == "parameter" and i.rest.startswith(f"{number})")), None)
    if parameter is None:
        return 0
    whole, total, pending = size_of(parameter.type), 0, [parameter.name]
    while pending:
        name = pending.pop()
        for user in (i for i in body.values() if name in i.operands):
            if user.opcode == "bitcast":
                pending.append(user.name)
            elif user.opcode in SLICES:
                total += size_of(user.type, fused=True)
            elif not (user.opcode == "dynamic-update-slice" and user.operands[0] == name):
                return whole
    return total


def _written(body: dict[str, Instruction]) -> int | float:
    """Bytes that a fusion writes where its result is an array updated in place; no bound otherwise."""
    root = list(body.values())[-1]
    while root.opcode == "bitcast" and root.operands[0] in body:
        root = body[root.operands[0]]
    if root.opcode == "dynamic-update-slice" and root.operands[1] in body:
        return size_of(body[root.operands[1]].type, fused=True)
    return math.inf

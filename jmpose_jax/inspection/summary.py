"""A model as a table: its modules, what they return, their parameters and their floating-point operations.

Nothing is executed: shapes come from abstract evaluation, and the operations are counted in the traced program. XLA's
own cost analysis is not used, because it counts the body of a loop once, however often the loop runs, and our models
loop over equal blocks and over RAFT's iterations.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from jax.extend import core

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """One module.

    Attributes:
      path: names from the model down to the module; () is the model.
      kind: name of its class.
      outputs: shapes of what its first call returns, in a text; the call's own shapes, whatever loop it stands in.
      parameters: how many parameters it and its submodules have, over all turns of a loop.
      flops: floating-point operations of its convolutions and matrix products, submodules included, over all calls.
    """

    path: Path
    kind: str
    outputs: str
    parameters: int
    flops: int


def summarize(model: nn.Module, *arguments: Any, **options: Any) -> list[Row]:
    """Describe every module of a model, in the order in which they are first called.

    Args:
      model: the module.
      *arguments: of its call, arrays or ShapeDtypeStructs.
      **options: further, static arguments of its call.

    Returns:
      One row a module, the model itself first.
    """
    called: dict[Path, tuple[str, str]] = {}

    def record(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        module, entry = context.module, None
        if context.method_name == "__call__":
            # A module takes its place when it is called, before those that it calls.
            entry = called.setdefault(module.path, (type(module).__name__, ""))
        outputs = call(*args, **kwargs)
        if entry is not None and not entry[1]:
            called[module.path] = (entry[0], describe_shapes(outputs))
        return outputs

    variables = jax.eval_shape(lambda *a: model.init(jax.random.key(0), *a, **options), *arguments)
    with nn.intercept_methods(record):
        program = jax.make_jaxpr(lambda v, *a: model.apply(v, *a, **options))(variables, *arguments)
    parameters = count_parameters(variables.get("params", {}))
    flops: Counter[Path] = Counter()
    for scopes, count in count_flops(program.jaxpr).items():
        path: Path = ()
        flops[path] += count
        for scope in scopes:
            # A scope that is no module below the last one: the model itself, or a module that shares its parent's.
            if (*path, scope) in called:
                path = (*path, scope)
                flops[path] += count
    return [Row(path, kind, outputs, parameters[path], flops[path]) for path, (kind, outputs) in called.items()]


def count_parameters(params: Mapping[str, Any]) -> Counter[Path]:
    """The number of parameters under every path of a tree of parameters."""
    totals: Counter[Path] = Counter()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = tuple(str(key.key) for key in path)
        for length in range(len(names)):
            totals[names[:length]] += math.prod(leaf.shape)
    return totals


def count_flops(program: core.Jaxpr) -> Counter[Path]:
    """Operations of the convolutions and matrix products of a traced program, by the module that they stand in.

    A multiplication and its addition count as two. Loops count every turn; of a branch the dearest side counts.
    """
    totals: Counter[Path] = Counter()
    for equation in _live(program):
        here = str(equation.source_info.name_stack)
        for inner, count in _of(equation).items():
            totals[_module(here) + inner] += count
    return totals


def _of(equation: Any) -> Counter[Path]:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        depth = math.prod(shape[axis] for axis in contracted)
        return Counter({(): 2 * depth * math.prod(equation.outvars[0].aval.shape)})
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        products = math.prod(kernel) // outputs * math.prod(equation.outvars[0].aval.shape)
        # Of a dilated input (a transposed convolution, the gradient of one with a stride) zeros are no work.
        return Counter({(): 2 * products // math.prod(params["lhs_dilation"])})
    inner = [count_flops(program) for program in _programs(params)]
    if name == "cond":
        return max(inner, key=lambda counts: counts.total(), default=Counter())
    turns = _turns(name, params)
    totals: Counter[Path] = Counter()
    for counts in inner:
        for path, count in counts.items():
            totals[path] += turns * count
    return totals


def _turns(name: str, params: Mapping[str, Any]) -> int:
    """How often the program inside an equation runs: turns of a loop, devices, blocks of a kernel's grid."""
    if name == "scan":
        return params["length"]
    if name == "shard_map":
        # Over axes that no argument is split over, devices do the same work; it counts once.
        entries = [entry for spec in params["in_specs"] for entry in spec if entry is not None]
        axes = {axis for entry in entries for axis in (entry if isinstance(entry, tuple) else (entry,))}
        return math.prod(params["mesh"].shape[axis] for axis in axes)
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid)
    return 1


def _programs(params: Mapping[str, Any]) -> Iterator[core.Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, core.Jaxpr):
                yield item


def _live(program: core.Jaxpr) -> list[Any]:
    """The equations whose results are used; Linen's loops leave traces behind that XLA drops as well."""
    needed = {v for v in program.outvars if not isinstance(v, core.Literal)}
    kept = []
    for equation in reversed(program.eqns):
        if equation.effects or needed.intersection(equation.outvars):
            needed.update(v for v in equation.invars if not isinstance(v, core.Literal))
            kept.append(equation)
    return kept[::-1]


def _module(scope: str) -> Path:
    """The modules in a name scope; "stage2.__call__" and the like name methods, not modules."""
    return tuple(part for part in scope.split("/") if part and "." not in part)


def describe_shapes(tree: Any) -> str:
    """Shapes of a tree of arrays in one line, equal ones counted: "[1, 96, 72, 48], 2 x [1, 48, 36, 96]"."""
    shapes = Counter(str(list(leaf.shape)) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))
    return ", ".join(shape if n == 1 else f"{n} x {shape}" for shape, n in shapes.items())


def table(rows: list[Row], depth: int | None = 2) -> str:
    """The rows as aligned text with a last line of totals.

    Args:
      rows: from `summarize`.
      depth: how far down modules are listed; None lists all. Rows include what is below them.
    """
    shown = [row for row in rows if depth is None or len(row.path) <= depth]
    lines = [("module", "kind", "output", "parameters", "GFLOP")]
    for row in shown:
        name = "  " * len(row.path) + (row.path[-1] if row.path else "model")
        outputs = row.outputs if len(row.outputs) <= 60 else row.outputs[:57] + "..."
        lines.append((name, row.kind, outputs, f"{row.parameters:,}", f"{row.flops / 1e9:,.3f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    text = [
        "  ".join(cell.rjust(w) if i > 2 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * max(len(line) for line in text))
    total = rows[0]
    text.append(f"total: {total.parameters:,} parameters, {total.flops / 1e9:,.3f} GFLOP a forward pass")
    return "\n".join(text)

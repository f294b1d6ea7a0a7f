"""Reads the pickles of PyTorch checkpoints as data, without ever running one.

Python's unpickler imports what a file names and calls it with arguments from the file: whoever writes the file decides
what runs. Here a small interpreter of our own walks the opcodes. A name in the file becomes a `Name`, an inert pair of
strings. A call is carried out for the handful of names below by code of ours; every other call is refused.
"""

import dataclasses
import pickletools
from collections.abc import Callable, Iterator
from typing import IO, Any

from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Name:
    """A class or function that the file names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(frozen=True)
class TensorRecord:
    """A tensor as the pickle describes it: a strided view of a storage."""

    storage: Any
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class PickleError(InputError):
    """The pickle holds what a checkpoint of tensors does not."""


ADVICE = "refused; save the state dict alone: torch.save(model.state_dict(), FILE)"


class _Mark:
    """Where a group of values begins on the stack."""


MARK = _Mark()


def kind_of(value: Any) -> str:
    """What a value from the file is, for messages: never its content, which a few bytes can make endless to print."""
    return str(value) if isinstance(value, Name) else f"a {type(value).__name__}"


def _key(value: Any) -> Any:
    """A key of a dict, if it is plain: tuples nested deeply enough overflow the C stack when they are hashed."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | bytes | int | float) for part in parts):
        raise PickleError("a dict has keys that are no plain values: refused")
    return value


def _dict(items: Any = ()) -> dict[Any, Any]:
    return {_key(key): value for key, value in (items.items() if isinstance(items, dict) else items)}


def _tensor(storage: Any, offset: int, shape: tuple, strides: tuple, *_: Any) -> TensorRecord:
    if not all(isinstance(n, int) for n in (offset, *shape, *strides)):
        raise PickleError("a tensor's offset, shape or strides are not integers")
    return TensorRecord(storage, offset, tuple(shape), tuple(strides))


# What may be called, and what we do for it.
CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
}
# Opcodes that push the argument they carry.
_LITERALS = frozenset(
    (
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT",
        "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    )
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = frozenset(("PROTO", "FRAME"))


def read_pickle(file: IO[bytes], persistent: Callable[[tuple], Any]) -> Any:
    """Read one pickle from where `file` stands; leaves it after the pickle's end.

    Args:
      file: binary stream.
      persistent: turns a persistent id, PyTorch's way to name a storage, into a value.

    Returns:
      Numbers, strings, lists, tuples, dicts, `TensorRecord`s and `Name`s.

    Raises:
      PickleError: a call that is not allowed, or no well-formed pickle.
    """
    try:
        return _Interpreter(persistent).run(pickletools.genops(file))
    except PickleError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, EOFError, OverflowError) as error:
        raise PickleError(f"the pickle is damaged ({error})") from error


class _Interpreter:
    """A stack machine for the opcodes that checkpoints use."""

    def __init__(self, persistent: Callable[[tuple], Any]):
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, operations: Iterator[tuple[Any, Any, Any]]) -> Any:
        for opcode, argument, _ in operations:
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _LITERALS:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name not in _IGNORED:
                operation = getattr(self, f"op_{name.lower()}", None)
                if operation is None:
                    raise PickleError(f"the pickle builds an object (opcode {name}), which runs code: {ADVICE}")
                operation(argument)
        raise PickleError("the pickle is cut short")

    def group(self) -> list[Any]:
        """Pop the values down to the last mark, and the mark."""
        # From the top, so that a file of nothing but marks does not take the square of its length.
        start = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is MARK), None)
        if start is None:
            raise PickleError("the pickle is damaged (no mark on the stack)")
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def op_mark(self, _: Any) -> None:
        self.stack.append(MARK)

    def op_pop(self, _: Any) -> None:
        self.stack.pop()

    def op_pop_mark(self, _: Any) -> None:
        self.group()

    def op_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def op_empty_tuple(self, _: Any) -> None:
        self.stack.append(())

    def op_tuple1(self, _: Any) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def op_tuple2(self, _: Any) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def op_tuple3(self, _: Any) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def op_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.group()))

    def op_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def op_list(self, _: Any) -> None:
        self.stack.append(self.group())

    def op_append(self, _: Any) -> None:
        value = self.stack.pop()
        self._container(list).append(value)

    def op_appends(self, _: Any) -> None:
        values = self.group()
        self._container(list).extend(values)

    def op_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def op_dict(self, _: Any) -> None:
        values = self.group()
        self.stack.append(_dict(zip(values[::2], values[1::2])))

    def op_setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._container(dict)[_key(key)] = value

    def op_setitems(self, _: Any) -> None:
        values = self.group()
        self._container(dict).update(_dict(zip(values[::2], values[1::2])))

    def op_empty_set(self, _: Any) -> None:
        self.stack.append([])

    def op_additems(self, _: Any) -> None:
        self.op_appends(_)

    def op_put(self, argument: Any) -> None:
        self.memo[int(argument)] = self.stack[-1]

    op_binput = op_long_binput = op_put

    def op_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def op_get(self, argument: Any) -> None:
        self.stack.append(self.memo[int(argument)])

    op_binget = op_long_binget = op_get

    def op_global(self, argument: str) -> None:
        module, name = argument.split(" ", 1)
        self.stack.append(Name(module, name))

    def op_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("the pickle names a function by something that is no text: refused")
        self.stack.append(Name(module, name))

    def op_binpersid(self, _: Any) -> None:
        self.stack.append(self.persistent(self.stack.pop()))

    def op_reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        call = CALLS.get((function.module, function.name)) if isinstance(function, Name) else None
        if call is None:
            raise PickleError(f"the pickle asks to call {kind_of(function)}, which is code: {ADVICE}")
        self.stack.append(call(*arguments))

    def op_build(self, _: Any) -> None:
        # PyTorch hangs version numbers on a state dict in this way. They are not needed.
        self.stack.pop()
        self._container(dict)

    def _container(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise PickleError(f"the pickle fills an object that is no plain {kind.__name__}: refused")
        return self.stack[-1]

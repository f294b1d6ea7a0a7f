"""Reads the pickles of PyTorch checkpoints as data, without ever running one.

An unpickler imports what a file names and calls it with arguments from the file: whoever writes the file decides what
runs. Here it is Python's own, subclassed: only the opcodes listed below are carried out, a name in the file becomes a
`Name`, an inert pair of strings, and a call of one is answered by code of ours for the handful of `CALLS`. No opcode
sets attributes.

It is the unpickler written in Python, which joblib subclasses too. The one in C cannot be made safe from outside: it
hashes whatever a file gives as a dict's key (a tuple nested two million deep, a file of 2 MB, ends the process by a
segmentation fault), and it makes room for as many memo entries as a file claims to have.
"""

import dataclasses
import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import IO, Any

from jmpose_jax.errors import InputError

ADVICE = "refused; save the state dict alone: torch.save(model.state_dict(), FILE)"
MOST_PARTS = 64  # arguments of a call, dimensions, parts of a key: a file may ask for one a million times
MOST_BITS = 64  # of an integer as a key, which is hashed each time
SHOWN = 100  # characters of a text from the file in a message


class PickleError(InputError):
    """The pickle holds what a checkpoint of tensors does not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A class or function that the file names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"[:SHOWN]
        return text if text.isprintable() else repr(text)


@dataclasses.dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as the pickle describes it: a strided view of a storage."""

    storage: Any
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_pickle(file: IO[bytes], persistent: Callable[[tuple], Any]) -> Any:
    """Read one pickle from where `file` stands; leaves it after the pickle's end.

    Args:
      file: binary stream whose reads end where its bytes end, whatever length is asked for.
      persistent: turns a persistent id, PyTorch's way to name a storage, into a value.

    Returns:
      Numbers, strings, lists, tuples, dicts, `TensorRecord`s and `Name`s.

    Raises:
      PickleError: a call that is not allowed, or no well-formed pickle.
    """
    try:
        return _Unpickler(file, persistent).load()
    except PickleError:
        raise
    except EOFError:
        raise PickleError("the pickle is cut short") from None
    except _DAMAGE as error:
        raise PickleError(f"the pickle is damaged ({str(error)[:SHOWN]})") from error


_DAMAGE = (
    ValueError, LookupError, TypeError, AttributeError, OverflowError, struct.error, pickle.UnpicklingError,
)  # fmt: skip


def kind_of(value: Any) -> str:
    """What a value from the file is, for messages: never its content, which a few bytes can make endless to print."""
    return str(value) if isinstance(value, Name) else f"a {type(value).__name__}"


def _key(value: Any) -> Any:
    """A key of a dict, if it is plain: tuples nested deeply enough overflow the C stack when they are hashed."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) > MOST_PARTS or not all(map(_is_plain, parts)):
        raise PickleError("a dict has keys that are no plain values: refused")
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, int):
        return value.bit_length() <= MOST_BITS
    return value is None or isinstance(value, str | bytes | float)


def _dict(items: Any = ()) -> dict[Any, Any]:
    """A dict, of nothing, or of a list of pairs as Python 2 wrote an OrderedDict."""
    if not items:
        return {}
    if type(items) is not list:
        raise PickleError(f"a dict is made of {kind_of(items)}: refused")
    found = {_key(key): value for key, value in items}
    items.clear()  # a file that makes a thousand dicts of one long list gets one
    return found


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or len(values) > MOST_PARTS:
        raise PickleError(f"the pickle is damaged (a shape or strides are {kind_of(values)}, or too many)")
    return tuple(values)


def _tensor(storage: Any, offset: int, shape: tuple, strides: tuple, *_: Any) -> TensorRecord:
    record = TensorRecord(storage, offset, _numbers(shape), _numbers(strides))
    if not all(isinstance(n, int) for n in (offset, *record.shape, *record.strides)):
        raise PickleError("a tensor's offset, shape or strides are not integers")
    return record


# What may be called, and what we do for it.
CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch", "Size"): lambda sizes=(): _numbers(sizes),
}
# What Python's unpickler does with them is done: they put values on the stack and into lists, tuples and the memo.
ALLOWED = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE",
    "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "MARK", "POP", "POP_MARK", "DUP",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    "GLOBAL", "STACK_GLOBAL", "BINPERSID", "PROTO", "FRAME", "STOP",
)  # fmt: skip
_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}


def _refused(opcode: str) -> Callable[[Any], None]:
    def refuse(_: Any) -> None:
        raise PickleError(f"the pickle builds an object (opcode {opcode}), which runs code: {ADVICE}")

    return refuse


class _Unpickler(pickle._Unpickler):
    """Python's unpickler with an allow-list of opcodes, names and keys."""

    def __init__(self, file: IO[bytes], persistent: Callable[[tuple], Any]):
        super().__init__(file, encoding="latin-1")  # of Python 2's strings
        self.persistent_load = persistent

    def find_class(self, module: str, name: str) -> Name:
        return Name(module, name)

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        call = CALLS.get((function.module, function.name)) if isinstance(function, Name) else None
        if call is None:
            raise PickleError(f"the pickle asks to call {kind_of(function)}, which is code: {ADVICE}")
        if not isinstance(arguments, tuple) or len(arguments) > MOST_PARTS:
            raise PickleError(f"the pickle calls {function} with {kind_of(arguments)}, or too much: refused")
        self.append(call(*arguments))

    def load_build(self) -> None:
        # PyTorch hangs version numbers on a state dict in this way. They are not needed.
        self.stack.pop()
        self.dict_on_top()

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.dict_on_top()[_key(key)] = value

    def load_setitems(self) -> None:
        values = self.pop_mark()
        self.dict_on_top().update((_key(key), value) for key, value in zip(values[::2], values[1::2]))

    def load_dict(self) -> None:
        values = self.pop_mark()
        self.append({_key(key): value for key, value in zip(values[::2], values[1::2])})

    def load_bytearray8(self) -> None:
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))  # Python's makes room for the length before it reads

    def dict_on_top(self) -> dict[Any, Any]:
        if type(self.stack[-1]) is not dict:
            raise PickleError("the pickle fills an object that is no plain dict: refused")
        return self.stack[-1]

    dispatch = {
        **{code: _refused(name) for name, code in _CODES.items()},
        **{_CODES[name]: pickle._Unpickler.dispatch[_CODES[name]] for name in ALLOWED},
        _CODES["EMPTY_SET"]: pickle._Unpickler.load_empty_list,  # a set would hash what it holds: a list
        _CODES["ADDITEMS"]: pickle._Unpickler.load_appends,
        _CODES["REDUCE"]: load_reduce,
        _CODES["BUILD"]: load_build,
        _CODES["SETITEM"]: load_setitem,
        _CODES["SETITEMS"]: load_setitems,
        _CODES["DICT"]: load_dict,
        _CODES["BYTEARRAY8"]: load_bytearray8,
    }

"""Arrays of objects in .npz files, as DeciWatch's data come: read as data, no name of the file is ever imported.

NumPy stores such arrays as a pickle. This is Python's own unpickler with the opcodes that arrays need; what the file
calls is answered by the handful of stand-ins below, which make arrays of plain numbers and texts.
"""

import io
import pathlib
import pickle
import zipfile
from collections.abc import Collection
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError

MOST_ITEMS = 2**31
KINDS = "biufUSO"  # of dtypes: numbers, texts, objects
ADVICE = "refused; save the arrays again by numpy.savez"


class _DType:
    """A dtype as the pickle describes it: a text, and its byte order, which comes afterwards."""

    def __init__(self, text: Any, *_: Any):
        if not isinstance(text, str) or not text[:1] or text[0] not in KINDS or len(text) > 10:
            raise InputError(f"holds an array of {str(text)[:40]!r}; {ADVICE}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">") and self.dtype.kind != "O":
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array that is being read; `value` once it is."""

    def __init__(self, *_: Any):
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _DType):
            raise InputError(f"holds an array of an unknown form; {ADVICE}")
        _, shape, kind, fortran, content = state
        good = isinstance(shape, tuple) and len(shape) <= 8 and all(type(n) is int and n >= 0 for n in shape)
        if not good:
            raise InputError(f"holds an array of the shape {str(shape)[:40]}; {ADVICE}")
        if kind.dtype.kind == "O":
            if not isinstance(content, list) or len(content) != int(np.prod(shape, dtype=object)):
                raise InputError(f"an array of objects does not hold what its shape says; {ADVICE}")
            self.value = [plain(item) for item in content]
            return
        count = int(np.prod(shape, dtype=object))
        if not isinstance(content, bytes) or len(content) != count * kind.dtype.itemsize:
            raise InputError(f"an array does not hold as many bytes as its shape says; {ADVICE}")
        self.value = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _scalar(kind: Any, content: Any = b"") -> Any:
    if not isinstance(kind, _DType) or kind.dtype.kind == "O" or not isinstance(content, bytes):
        raise InputError(f"holds a number of an unknown form; {ADVICE}")
    if len(content) != kind.dtype.itemsize:
        raise InputError(f"a number does not hold as many bytes as its type says; {ADVICE}")
    return np.frombuffer(content, kind.dtype)[0]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> "_Array":
    """NumPy's own for pickles of protocol 5 whose buffers are inside."""
    found = _Array()
    found.__setstate__((1, shape, kind, order == "F", bytes(content) if isinstance(content, bytearray) else content))
    return found


def _latin(text: Any, coding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or coding not in ("latin1", "latin-1"):
        raise InputError(f"holds bytes of an unknown form; {ADVICE}")
    return text.encode("latin-1")


_CALLS = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _latin,
}
_OPCODES = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1",
    "BININT2", "LONG", "LONG1", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "PUT", "BINPUT", "LONG_BINPUT",
    "GET", "BINGET", "LONG_BINGET", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
)  # fmt: skip


class _Unpickler(pickle._Unpickler):
    dispatch = {
        code: read
        for code, read in pickle._Unpickler.dispatch.items()
        if code in {getattr(pickle, name)[0] for name in _OPCODES}
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _CALLS:
            raise InputError(f"names {f'{module}.{name}'[:60]!r}; {ADVICE}")
        return _CALLS[module, name]

    def load_build(self) -> None:
        """State is set on our own stand-ins alone."""
        if not isinstance(self.stack[-2], _Array | _DType):
            raise InputError(f"sets the state of what is no array; {ADVICE}")
        super().load_build()

    def load_reduce(self) -> None:
        """Calls are of our own stand-ins alone, with few arguments."""
        if self.stack[-2] not in tuple(_CALLS.values()) or len(self.stack[-1]) > 4:
            raise InputError(f"calls what is no array; {ADVICE}")
        super().load_reduce()

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.REDUCE[0]] = load_reduce


def plain(value: Any) -> Any:
    """What the pickle holds as arrays, lists of them, numbers and texts."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def read_object_arrays(path: str | pathlib.Path, names: Collection[str]) -> dict[str, list[Any]]:
    """Arrays of an .npz as lists with one entry a sequence.

    Args:
      path: the file.
      names: of the arrays that are read, where they are there; others may hold what they like.

    Returns:
      Name -> entries: arrays of numbers or texts, or numbers. An array of plain numbers gives its rows.

    Raises:
      InputError: no such file, no .npz, a damaged one, or one whose pickle holds more than arrays.
    """
    found: dict[str, list[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                if f"{name}.npy" not in archive.namelist():
                    continue
                try:
                    found[name] = _entries(archive.read(f"{name}.npy"))
                except InputError as fault:
                    raise InputError(f"{path}: {name!r} {fault}") from None
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except InputError:
        raise
    except Exception as error:  # of unpickling and unzipping, of every kind
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); download it again") from error
    return found


def _entries(content: bytes) -> list[Any]:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    if not dtype.hasobject:
        return list(np.load(io.BytesIO(content), allow_pickle=False)) if shape else [np.load(io.BytesIO(content))]
    value = plain(_Unpickler(file).load())
    return value if isinstance(value, list) else list(np.atleast_1d(value))

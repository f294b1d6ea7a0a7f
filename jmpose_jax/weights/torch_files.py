"""Checkpoint files of PyTorch, read and written without PyTorch; nothing in a file is ever executed."""

import functools
import io
import math
import mmap
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from jmpose_jax.errors import InputError
from jmpose_jax.weights.pickle_reader import Name, PickleError, TensorRecord, kind_of, read_pickle
from jmpose_jax.weights.prefixes import flat, unwrap

STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
SAFETENSORS_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_SIGNATURE = b"PK\x03\x04"


def load_torch(path: str | os.PathLike, *, whole: bool = False) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch checkpoint.

    Args:
      path: `.safetensors`, or a file of `torch.save` in the present (zip) or the former format. A "state_dict" around
        the tensors and "module." before their names are taken off.
      whole: give every tensor of the file by its full path, e.g. "state_dict.module.conv1.weight".

    Returns:
      key -> array in the dtype of the file (bfloat16 as `ml_dtypes.bfloat16`), read-only.

    Raises:
      InputError: the file is absent, truncated, of another format, or contains code, which is not run.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(9)
            file.seek(0)
            # A safetensors file begins with the length of its header, eight bytes, and the header, which is JSON.
            if path.suffix == ".safetensors" or start[8:] == b"{":
                tensors = _read_safetensors(file.read())
                tensors = tensors if whole else unwrap(tensors)
            elif start.startswith(ZIP_SIGNATURE):
                tensors = _read_zip(file, whole)
            elif start:
                # Reads past the end of a map stop there, whatever length the file claims.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    tensors = _read_legacy(mapped, whole)
            else:
                raise PickleError("the file is empty")
    except PickleError as error:
        raise InputError(f"{path}: {error}") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no complete safetensors file: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise InputError(f"{path} is truncated or damaged: {error}; fetch it again") from None
    if not tensors:
        raise InputError(f"{path} holds no tensors; is it a state dict?")
    return tensors


def save_torch(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors so that `torch.load(path, weights_only=True)` or safetensors reads them.

    Args:
      path: the suffix `.safetensors` picks that format, `.pth` or `.pt` PyTorch's zip format.
      tensors: key -> float32 or int64 array.

    Raises:
      InputError: another suffix.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise InputError(f"{path}: state dicts are written as .pth, .pt or .safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".safetensors":
            temporary.write_bytes(safetensors.numpy.save({k: np.array(v, order="C") for k, v in tensors.items()}))
        else:
            _write_zip(temporary, tensors)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    tensors = {}
    for key, tensor in safetensors.deserialize(data):
        if tensor["dtype"] not in SAFETENSORS_DTYPES:
            raise PickleError(f"{key} is of type {tensor['dtype']}, which is not supported")
        tensors[key] = np.frombuffer(tensor["data"], SAFETENSORS_DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    return tensors


def _storage(identity: Any) -> tuple[np.dtype, str, int, Any]:
    """Type, key and number of values of the storage that a persistent id names, and its view in the former format."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise PickleError("a persistent id names no storage")
    _, kind, key, _, numel, *view = identity
    if not isinstance(kind, Name) or kind.module not in ("torch", "torch.storage") or kind.name not in STORAGE_DTYPES:
        raise PickleError(f"a storage is of type {kind_of(kind)}, which is not supported")
    if not isinstance(key, str) or not isinstance(numel, int):
        raise PickleError("a storage has no name or no size")
    return STORAGE_DTYPES[kind.name], key, numel, view[0] if view else None


def _view(record: TensorRecord, storage: np.ndarray) -> np.ndarray:
    """The tensor as a view of its storage, so that thousands of them take no memory; all of it must lie inside."""
    if any(n < 0 for n in (record.offset, *record.shape, *record.strides)) or len(record.shape) != len(record.strides):
        raise PickleError("a tensor has a negative or inconsistent shape")
    count = math.prod(record.shape)
    last = record.offset + sum((n - 1) * s for n, s in zip(record.shape, record.strides)) if count else 0
    if count > storage.size or last >= max(storage.size, 1):
        raise PickleError(f"a tensor of shape {list(record.shape)} reaches beyond its storage of {storage.size} values")
    if not count:
        return np.zeros(record.shape, storage.dtype)
    strides = tuple(s * storage.itemsize for s in record.strides)
    return np.lib.stride_tricks.as_strided(storage[record.offset :], record.shape, strides, writeable=False)


def _tensors(content: Any, storage: Callable[[str], np.ndarray], whole: bool) -> dict[str, np.ndarray]:
    """The tensors of the state dict, or of all, in what a pickle held; whatever else it holds is left alone."""
    if not isinstance(content, Mapping):
        raise PickleError(f"the file holds a {type(content).__name__}, not a state dict")
    inner = content if whole else unwrap(content)
    records = {key: value for key, value in inner.items() if isinstance(key, str) and isinstance(value, TensorRecord)}
    if whole or not records:
        records = {key: value for key, value in flat(inner).items() if isinstance(value, TensorRecord)}
    arrays = {}
    for key, record in records.items():
        if not isinstance(record.storage, tuple):
            raise PickleError(f"the tensor {key} has no storage")
        name, start, stop = record.storage
        arrays[key] = _view(record, storage(name)[start:stop])
    return arrays


def _read_zip(file: IO[bytes], whole: bool) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("the zip archive is no checkpoint of torch.save (it has no data.pkl)")
        root = pickles[0].removesuffix("data.pkl")

        def read(name: str) -> bytes:
            if name not in members:
                raise PickleError(f"{name} is absent: the file is incomplete")
            # torch.save compresses nothing, so nothing here may grow when it is read.
            if members[name].compress_type != zipfile.ZIP_STORED:
                raise PickleError(f"{name} is compressed, which torch.save never does: refused")
            return archive.read(name)

        if f"{root}byteorder" in members and read(f"{root}byteorder").strip() != b"little":
            raise PickleError("the file is big-endian, which is not supported")
        sizes: dict[str, tuple[np.dtype, int]] = {}

        def persistent(identity: Any) -> tuple[str, int, int]:
            dtype, key, numel, _ = _storage(identity)
            sizes[key] = dtype, numel
            return key, 0, numel

        @functools.cache
        def storage(key: str) -> np.ndarray:
            dtype, numel = sizes[key]
            data = read(f"{root}data/{key}")
            if len(data) != numel * dtype.itemsize:
                raise PickleError(f"the storage {key!r} has {len(data)} bytes, not those of {numel} values")
            return np.frombuffer(data, dtype)

        return _tensors(read_pickle(io.BytesIO(read(pickles[0])), persistent), storage, whole)


def _read_legacy(file: mmap.mmap, whole: bool) -> dict[str, np.ndarray]:
    """Five pickles (magic number, version, machine, content, storage keys), then the storages one after another."""

    def refuse(_: Any) -> Any:
        raise PickleError("a persistent id where none belongs: refused")

    dtypes: dict[str, np.dtype] = {}

    def persistent(identity: Any) -> tuple[str, int, int]:
        dtype, key, numel, view = _storage(identity)
        dtypes[key] = dtype
        # A view is (its key, offset, size) within the storage.
        start, size = view[1:] if view else (0, numel)
        return key, start, start + size

    try:
        magic = read_pickle(file, refuse)
    except PickleError as error:
        if "refused" in str(error):
            raise
        magic = None
    if magic != LEGACY_MAGIC:
        raise PickleError("the file is no checkpoint of torch.save and no .safetensors")
    read_pickle(file, refuse)
    machine = read_pickle(file, refuse)
    if not isinstance(machine, dict) or not machine.get("little_endian", True):
        raise PickleError("the file is big-endian, which is not supported")
    content = read_pickle(file, persistent)
    storages = {}
    for key in read_pickle(file, refuse):
        if not isinstance(key, str) or key not in dtypes:
            raise PickleError("a storage belongs to no tensor")
        header = file.read(8)
        size = int.from_bytes(header, "little", signed=True) * dtypes[key].itemsize
        data = file.read(max(size, 0))
        if len(header) < 8 or len(data) != size:
            raise PickleError("the file is truncated; fetch it again")
        storages[key] = np.frombuffer(data, dtypes[key])
    if missing := dtypes.keys() - storages.keys():
        raise PickleError(f"{len(missing)} storages are absent: the file is incomplete")
    return _tensors(content, storages.__getitem__, whole)


def _write_zip(path: pathlib.Path, tensors: Mapping[str, np.ndarray]) -> None:
    """PyTorch's zip format, its pickle (protocol 2) written opcode by opcode."""
    types = {np.dtype("<f4"): b"FloatStorage", np.dtype("<i8"): b"LongStorage"}
    empty_dict = b"ccollections\nOrderedDict\n)R"
    out = io.BytesIO()
    out.write(b"\x80\x02" + empty_dict + b"(")
    arrays = {key: np.asarray(value) for key, value in tensors.items()}
    for i, (key, array) in enumerate(arrays.items()):
        out.write(_text(key) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + _text("storage"))
        out.write(b"ctorch\n" + types[array.dtype] + b"\n" + _text(str(i)) + _text("cpu") + _integer(array.size))
        out.write(b"tQ" + _integer(0))
        contiguous = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
        for numbers in (array.shape, contiguous):
            out.write(b"(" + b"".join(_integer(n) for n in numbers) + b"t")
        out.write(b"\x89" + empty_dict + b"tR")
    out.write(b"u.")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", out.getvalue())
        archive.writestr("archive/byteorder", b"little")
        for i, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{i}", array.tobytes())
        archive.writestr("archive/version", b"3\n")


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def _integer(value: int) -> bytes:
    return b"\x8a\x08" + int(value).to_bytes(8, "little", signed=True)

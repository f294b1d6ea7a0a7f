"""Checkpoint files of PyTorch, read and written without PyTorch; nothing in a file is ever executed."""

import io
import math
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from jmpose_jax.errors import InputError
from jmpose_jax.weights.convert import unwrap
from jmpose_jax.weights.pickle_reader import Name, PickleError, TensorRecord, read_pickle

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
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_SIGNATURE = b"PK\x03\x04"
MAX_PICKLE_BYTES = 1 << 28


def load_torch(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch checkpoint.

    Args:
      path: `.safetensors`, or a file of `torch.save` in the present (zip) or the former format. A "state_dict" around
        the tensors and "module." before their names are taken off.

    Returns:
      key -> array in the dtype of the file (bfloat16 as `ml_dtypes.bfloat16`).

    Raises:
      InputError: the file is absent, truncated, of another format, or contains code, which is not run.
    """
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            file.seek(0)
            if path.suffix == ".safetensors":
                return unwrap(_read_safetensors(file.read()))
            content = _read_zip(file) if start.startswith(ZIP_SIGNATURE) else _read_legacy(file)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no complete safetensors file: {error}") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path} is truncated or damaged: {error}; fetch it again") from None
    except PickleError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a state dict")
    tensors = {key: value for key, value in unwrap(content).items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise InputError(f"{path} holds no tensors; its keys are {', '.join(map(str, content)) or 'none'}")
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
    return safetensors.numpy.load(data)


def _storage_dtype(kind: Any) -> np.dtype:
    name = kind.name if isinstance(kind, Name) and kind.module in ("torch", "torch.storage") else str(kind)
    if name not in STORAGE_DTYPES:
        raise PickleError(f"a storage is of type {kind}, which is not supported")
    return STORAGE_DTYPES[name]


def _view(record: TensorRecord, storage: np.ndarray) -> np.ndarray:
    """The tensor as an array of its own; every element must lie inside the storage."""
    if any(n < 0 for n in (record.offset, *record.shape, *record.strides)) or len(record.shape) != len(record.strides):
        raise PickleError("a tensor has a negative or inconsistent shape")
    count = math.prod(record.shape)
    last = record.offset + sum((n - 1) * s for n, s in zip(record.shape, record.strides)) if count else 0
    if count > storage.size or last >= max(storage.size, 1):
        raise PickleError(f"a tensor of shape {list(record.shape)} reaches beyond its storage of {storage.size} values")
    if not count:
        return np.zeros(record.shape, storage.dtype)
    strides = tuple(s * storage.itemsize for s in record.strides)
    return np.lib.stride_tricks.as_strided(storage[record.offset :], record.shape, strides).copy()


def _resolve(value: Any, storages: Mapping[str, np.ndarray]) -> Any:
    """Replace the tensor records in nested containers by arrays."""
    if isinstance(value, TensorRecord):
        key, start, stop = value.storage
        return _view(value, storages[key][start:stop])
    if isinstance(value, dict):
        return {k: _resolve(v, storages) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolve(v, storages) for v in value)
    return value


def _read_zip(file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("the zip archive is no checkpoint of torch.save (it has no data.pkl)")
        root = pickles[0].removesuffix("data.pkl")
        if archive.getinfo(pickles[0]).file_size > MAX_PICKLE_BYTES:
            raise PickleError("the pickle is larger than any list of tensors: refused")
        names = set(archive.namelist())
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder").strip() != b"little":
            raise PickleError("the file is big-endian, which is not supported")
        storages: dict[str, np.ndarray] = {}

        def persistent(identity: Any) -> tuple[str, int, int]:
            tag, kind, key, _, numel = identity
            dtype = _storage_dtype(kind)
            if tag != "storage" or f"{root}data/{key}" not in names:
                raise PickleError(f"the storage {key!r} is absent: the file is incomplete")
            if key not in storages:
                info = archive.getinfo(f"{root}data/{key}")
                if info.compress_type != zipfile.ZIP_STORED or info.file_size != numel * dtype.itemsize:
                    raise PickleError(f"the storage {key!r} has {info.file_size} bytes instead of {numel} values")
                storages[key] = np.frombuffer(archive.read(info), dtype)
            return key, 0, numel

        content = read_pickle(io.BytesIO(archive.read(pickles[0])), persistent)
        return _resolve(content, storages)


def _read_legacy(file: IO[bytes]) -> Any:
    """Five pickles (magic number, version, machine, content, storage keys), then the storages one after another."""

    def refuse(identity: Any) -> Any:
        raise PickleError(f"a persistent id {identity!r} where none belongs")

    dtypes: dict[str, np.dtype] = {}

    def persistent(identity: Any) -> tuple[str, int, int]:
        tag, kind, key, _, numel, *view = identity
        if tag != "storage":
            raise PickleError(f"a persistent id of kind {tag!r}")
        dtypes[key] = _storage_dtype(kind)
        # A view is (its key, offset, size) within the storage.
        start, size = view[0][1:] if view and view[0] else (0, numel)
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
    if not machine.get("little_endian", True):
        raise PickleError("the file is big-endian, which is not supported")
    content = read_pickle(file, persistent)
    storages = {}
    for key in read_pickle(file, refuse):
        if key not in dtypes:
            raise PickleError(f"the storage {key!r} belongs to no tensor")
        header = file.read(8)
        size = int.from_bytes(header, "little", signed=True) * dtypes[key].itemsize
        data = file.read(size) if len(header) == 8 and size >= 0 else b""
        if len(header) < 8 or len(data) != size:
            raise PickleError("the file is truncated; fetch it again")
        storages[key] = np.frombuffer(data, dtypes[key])
    return _resolve(content, storages)


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

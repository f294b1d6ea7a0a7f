"""TFRecord shards without TensorFlow: written atomically with an index, read at random by record number."""

import os
import pathlib
import struct
import threading
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import google_crc32c
import numpy as np

from jmpose_jax.errors import InputError

# A record is: uint64 length | uint32 masked crc of the length | data | uint32 masked crc of the data, little endian.
HEADER_BYTES = 12
FOOTER_BYTES = 4
INDEX_SUFFIX = ".index.npy"


def masked_crc32c(data: bytes) -> int:
    """The checksum of the TFRecord format: a crc32c rotated and shifted, so that a crc of a crc stays meaningful."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame_record(data: bytes) -> bytes:
    """`data` with the header and footer of the TFRecord format."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def write_shard(path: pathlib.Path, records: Iterable[bytes]) -> np.ndarray:
    """Write one shard and its index; the shard's name appears only when it is complete.

    Args:
      path: the shard; the index is put beside it under the same name plus ".index.npy".
      records: the records' data.

    Returns:
      int64 [n, 2], offset of the data in the file and length of each record, in bytes.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    entries = []
    try:
        with open(temporary, "wb") as file:
            position = 0
            for data in records:
                entries.append((position + HEADER_BYTES, len(data)))
                position += file.write(frame_record(data))
        index = np.asarray(entries, np.int64).reshape(-1, 2)
        write_index(path, index)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return index


def write_index(path: pathlib.Path, index: np.ndarray) -> None:
    """Put the index [n, 2] of the shard `path` beside it."""
    target = path.with_name(path.name + INDEX_SUFFIX)
    temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    with open(temporary, "wb") as file:
        np.save(file, index)
    os.replace(temporary, target)


def scan(path: pathlib.Path) -> np.ndarray:
    """The index [n, 2] of a shard, from its headers; for shards that came without one.

    Raises:
      InputError: naming file and offset of the first header that is damaged or record that is cut off.
    """
    entries, size, position = [], os.path.getsize(path), 0
    with open(path, "rb") as file:
        while position < size:
            file.seek(position)
            header = file.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES or struct.unpack("<I", header[8:])[0] != masked_crc32c(header[:8]):
                raise InputError(f"{path}: damaged record header at byte {position}; prepare the data set again")
            length = struct.unpack("<Q", header[:8])[0]
            entries.append((position + HEADER_BYTES, length))
            position += HEADER_BYTES + length + FOOTER_BYTES
    if position > size:
        raise InputError(f"{path}: cut off inside the record at byte {entries[-1][0]}; prepare the data set again")
    return np.asarray(entries, np.int64).reshape(-1, 2)


def load_index(path: pathlib.Path) -> np.ndarray:
    """The index of a shard, from the file beside it, or by scanning; checked against the shard's size."""
    target = path.with_name(path.name + INDEX_SUFFIX)
    if not target.exists():
        return scan(path)
    try:
        index = np.load(target, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{target}: damaged index ({error}); delete it, it is rebuilt from the shard") from error
    ends = index.sum(axis=1) + FOOTER_BYTES if index.ndim == 2 and index.shape[1:] == (2,) else None
    if ends is None or (ends[-1] if len(ends) else 0) != os.path.getsize(path):
        raise InputError(f"{path}: its size does not fit {target.name}; the shard is cut off or of another run")
    return index


class TFRecordSource:
    """The records of several shards as one sequence of bytes: a Grain random-access source.

    Each process opens the shards for itself, and reading (`os.pread`) moves no shared file position, so that threads
    and forked or spawned workers may share one object.
    """

    def __init__(self, paths: Sequence[pathlib.Path | str]):
        """Args:
        paths: the shards, in the order that their records are numbered.

        Raises:
          InputError: for a missing or damaged shard.
        """
        self._paths = [pathlib.Path(path) for path in paths]
        for path in self._paths:
            if not path.is_file():
                raise InputError(f"{path}: shard is missing; prepare the data set again")
        indices = [load_index(path) for path in self._paths]
        self._shard = np.repeat(np.arange(len(indices)), [len(index) for index in indices])
        self._entries = np.concatenate(indices) if indices else np.zeros((0, 2), np.int64)
        self._open()

    def _open(self) -> None:
        self._files: dict[int, int] = {}
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, record_key: SupportsIndex) -> bytes:
        """The data of one record; its checksum is verified.

        Raises:
          InputError: naming the shard and the offset of a damaged record, or a shard that has gone.
        """
        offset, length = (int(v) for v in self._entries[record_key])
        shard = int(self._shard[record_key])
        try:
            block = os.pread(self._file(shard), length + FOOTER_BYTES, offset)
        except OSError as error:
            raise InputError(
                f"{self._paths[shard]}: cannot be read any more ({error.strerror}); bring the shard back and start the "
                "same command again"
            ) from error
        data = block[:length]
        if len(block) < length + FOOTER_BYTES or struct.unpack("<I", block[length:])[0] != masked_crc32c(data):
            raise InputError(
                f"{self._paths[shard]}: damaged record at byte {offset} (wrong checksum); prepare the data set again"
            )
        return data

    def _file(self, shard: int) -> int:
        if self._process != os.getpid():
            self._open()
        with self._lock:
            if shard not in self._files:
                self._files[shard] = os.open(self._paths[shard], os.O_RDONLY)
            return self._files[shard]

    def close(self) -> None:
        """Close the shards; a later read opens them again."""
        if self._process == os.getpid():
            with self._lock:
                while self._files:
                    os.close(self._files.popitem()[1])

    def __getstate__(self) -> dict[str, object]:
        return {key: self.__dict__[key] for key in ("_paths", "_shard", "_entries")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:  # Grain compares it when an iterator is restored, so it must not hold an address
        return f"TFRecordSource(shards={len(self._paths)}, records={len(self)})"

"""ArrayRecord shards: the same records in the form that `tfds.data_source` reads at random without TensorFlow."""

import os
import pathlib
import threading
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from jmpose_jax.errors import InputError

# One record a chunk: a frame is tens of kilobytes, and reading one shall not decode its neighbours.
WRITER_OPTIONS = "group_size:1"


def write_array_record(path: pathlib.Path, records: Iterable[bytes]) -> tuple[int, int]:
    """Write one shard; its name appears only when it is complete.

    Args:
      path: the shard.
      records: the records' data.

    Returns:
      The number of records and of their bytes.
    """
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    count = num_bytes = 0
    try:
        writer = ArrayRecordWriter(str(temporary), WRITER_OPTIONS)
        try:
            for data in records:
                writer.write(data)
                count, num_bytes = count + 1, num_bytes + len(data)
        finally:
            writer.close()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count, num_bytes


class ArrayRecordSource:
    """The records of several shards as one sequence of bytes; the counterpart of `tfrecord.TFRecordSource`."""

    def __init__(self, paths: Sequence[pathlib.Path | str], lengths: Sequence[int] | None = None):
        """Args:
        paths: the shards, in the order that their records are numbered.
        lengths: records that each must hold, where that is known: a cut-off shard reads as an empty one.

        Raises:
          InputError: for a missing or damaged shard.
        """
        self._paths = [pathlib.Path(path) for path in paths]
        self._open()
        found = [self._reader(i).num_records() for i in range(len(self._paths))]
        for path, count, expected in zip(self._paths, found, found if lengths is None else lengths, strict=True):
            if count != expected:
                raise InputError(
                    f"{path}: holds {count} records, {expected} were written; it is cut off or of another run, "
                    "prepare the data set again"
                )
        self._starts = np.cumsum([0, *found])

    def _open(self) -> None:
        self._readers: dict[int, ArrayRecordReader] = {}
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, record_key: SupportsIndex) -> bytes:
        """The data of one record; the library verifies its checksum.

        Raises:
          InputError: naming the shard and the record in it that is damaged.
        """
        number = int(record_key)
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        place = number - int(self._starts[shard])
        reader = self._reader(shard)
        try:
            with self._lock:
                return reader.read([place])[0]
        except (RuntimeError, ValueError, IndexError) as error:
            raise InputError(
                f"{self._paths[shard]}: damaged record {place} (wrong checksum or cut off); prepare the data set again"
            ) from error

    def _reader(self, shard: int) -> ArrayRecordReader:
        if self._process != os.getpid():
            self._open()
        with self._lock:
            if shard not in self._readers:
                path = self._paths[shard]
                if not path.is_file():
                    raise InputError(f"{path}: shard is missing; prepare the data set again")
                try:
                    self._readers[shard] = ArrayRecordReader(str(path))
                except (RuntimeError, ValueError) as error:
                    raise InputError(f"{path}: damaged or cut-off shard; prepare the data set again") from error
            return self._readers[shard]

    def close(self) -> None:
        """Close the shards; a later read opens them again."""
        if self._process == os.getpid():
            with self._lock:
                while self._readers:
                    self._readers.popitem()[1].close()

    def __getstate__(self) -> dict[str, object]:
        return {key: self.__dict__[key] for key in ("_paths", "_starts")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:  # Grain compares it when an iterator is restored, so it must not hold an address
        return f"ArrayRecordSource(shards={len(self._paths)}, records={len(self)})"

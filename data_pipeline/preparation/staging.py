"""The unfinished folder of a run of `prepare`: named when complete, kept when stopped, taken up by the next run."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from data_pipeline.formats.schema import VERSION
from data_pipeline.preparation.plan import StoredFrame
from jmpose_jax.errors import InputError, NoSpace, RunStopped, is_full_disk
from jmpose_jax.files import put_in_place

SUMMARY = "summary.json"
PLAN = "plan.json"
DONE_SUFFIX = ".done"  # beside a complete shard of an unfinished folder: [records, bytes]
SOURCES = ("source", "source_with_flow")  # rendered; what a run with other settings leaves of an unfinished folder
KEPT = (PLAN, *SOURCES)


class Stage:
    """The unfinished folder.

    Attributes:
      folder: where it is.
    """

    def __init__(self, folder: pathlib.Path):
        """Use `staged`."""
        self.folder = folder

    def resume(self, identity: str) -> None:
        """Keep what an earlier run left if it was to write the same, and remove it otherwise."""
        plan = self.folder / PLAN
        if plan.is_file() and plan.read_text() == identity:
            for path in self.folder.iterdir():
                if path.is_dir() and path.name not in KEPT:
                    shutil.rmtree(path)
            return
        for path in self.folder.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        temporary = plan.with_suffix(".tmp")
        temporary.write_text(identity)
        os.replace(temporary, plan)


@contextlib.contextmanager
def staged(output: pathlib.Path) -> Iterator[Stage]:
    """An unfinished folder that takes the name `output` when the block succeeds.

    It is removed where the block finds the input at fault, and stays after anything else if it holds complete shards,
    for the next run to go on.

    Raises:
      NoSpace: the disk is full.
      InputError: where `output` cannot be written, is no prepared folder, or another run is writing it.
    """
    if output.exists() and not (output / SUMMARY).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: exists and is not a prepared folder; choose another --output or remove it")
    folder = output.with_name(f"{output.name}.unfinished")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if is_full_disk(error):
            raise _no_space(output, error, "") from error
        raise InputError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder}: another run is writing it; wait for that or choose another --output"
            ) from error
        yield Stage(folder)
        (folder / PLAN).unlink(missing_ok=True)
        put_in_place(folder, output)
    except BaseException as error:
        stopped = not isinstance(error, InputError) or isinstance(error.__cause__, OSError)
        kept = stopped and _worth_keeping(folder)
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
        left = f"; {_left(folder)}" if kept else "; nothing is kept"
        if not isinstance(error, (InputError, RunStopped)) and is_full_disk(error):
            raise _no_space(output, error, left) from error
        if isinstance(error, OSError):
            raise InputError(
                f"{error.filename or output}: {error.strerror}; correct this and run again{left}"
            ) from error
        raise
    finally:
        os.close(lock)


def _no_space(output: pathlib.Path, error: BaseException, left: str) -> NoSpace:
    reason = getattr(error, "strerror", None) or os.strerror(errno.ENOSPC)
    return NoSpace(f"{output}: no room for it ({reason}); free space and run again{left}")


def _left(folder: pathlib.Path) -> str:
    """What the next run goes on with."""
    shards = len(list(folder.glob(f"*{DONE_SUFFIX}")))
    return f"complete shards, {shards}, are kept in {folder}" if shards else f"what is rendered is kept in {folder}"


def _worth_keeping(folder: pathlib.Path) -> bool:
    return any(folder.glob(f"*{DONE_SUFFIX}")) or any((folder / name).is_dir() for name in SOURCES)


def fingerprint(
    settings: Mapping[str, Any],
    num_shards: int,
    annotations: Mapping[str, list[pathlib.Path]],
    stored: Mapping[str, list[StoredFrame]],
) -> str:
    """What decides the bytes of the shards, as a short text: settings, annotation files, and the images' states."""
    digest = hashlib.sha256()
    for split in annotations:
        for path in annotations[split]:
            digest.update(path.read_bytes())
        for item in stored[split]:
            state = item.frame.path.stat()
            digest.update(f"{item.frame.path}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    content = {"version": VERSION, **settings, "shards": num_shards, "sources": digest.hexdigest()}
    return json.dumps(content, sort_keys=True)

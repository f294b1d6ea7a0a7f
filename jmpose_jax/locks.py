"""One process at a time in a folder."""

import contextlib
import errno
import fcntl
import functools
import json
import os
import pathlib
import socket
import sys
import threading
from collections.abc import Iterator

from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable
from jmpose_jax.stopping import at_last

LOCK = ".lock"

# The system's locks are between processes: within one they exclude nobody.
_held: set[str] = set()
_guard = threading.Lock()
_TAKEN = (errno.EACCES, errno.EAGAIN)  # what systems say of a lock that another process holds


class FolderTaken(InputError):
    """Another process works in the folder."""


def _forked() -> None:
    """A forked process holds none of its parent's locks."""
    global _guard
    _held.clear()
    _guard = threading.Lock()


os.register_at_fork(after_in_child=_forked)


@contextlib.contextmanager
def locked(folder: str | os.PathLike, flag: str = "--workdir") -> Iterator[None]:
    """Hold a folder for this process while the block runs; it is made where it does not exist.

    The system releases the lock when its owner ends, however it ends: what a killed process leaves of `.lock` is taken
    over. It is a POSIX record lock, which processes that were forked meanwhile do not hold, and which NFS passes on.
    Where a file system has no locks a line on standard error says that nobody is kept out. A folder that was made for
    the lock goes again if the block leaves nothing in it.

    Args:
      folder: a run's.
      flag: that named it, for the message.

    Raises:
      FolderTaken: another process holds it, or this one does already.
      InputError: the folder cannot be written to.
    """
    folder = pathlib.Path(folder)
    path = folder / LOCK
    key = os.path.realpath(path)
    with _guard:
        if key in _held:
            raise FolderTaken(f"{flag}={folder}: this process is working in it already; give another folder")
        check_writable(folder, flag)
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            file = _acquire(path, folder, flag)
        except OSError as error:
            raise InputError(
                f"{flag}={folder}: cannot be written to ({error.strerror}); choose another place"
            ) from error
        _held.add(key)
    try:
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)[:500]}
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(owner).encode(), 0)
        with at_last(functools.partial(_tidy, path, made)):
            yield
    finally:
        with _guard:
            _tidy(path, made)  # before it is released, so that nobody's newer file is removed
            os.close(file)
            _held.discard(key)


def _tidy(path: pathlib.Path, made: list[pathlib.Path]) -> None:
    """Remove the lock's file, and the folders that were made for it where nothing else came into them."""
    with contextlib.suppress(OSError):  # read-only meanwhile, not empty, or gone
        path.unlink()
        for place in made:
            place.rmdir()


def _acquire(path: pathlib.Path, folder: pathlib.Path, flag: str) -> int:
    """The locked file's descriptor."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue  # the owner before removed the folder, which it had made
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _TAKEN:
                print(
                    f"{flag}={folder}: no locks on this file system ({error.strerror}); start one run at a time in it",
                    file=sys.stderr,
                )
                return file
            owner = _owner(file)
            os.close(file)
            raise FolderTaken(
                f"{flag}={folder}: {owner} is working in it; wait until it has ended, or give another folder"
            ) from error
        try:
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        os.close(file)  # the owner before removed the file after we had opened it


def _owner(file: int) -> str:
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        return f"process {owner['pid']} on {owner['host']} ({owner['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

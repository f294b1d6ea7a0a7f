"""New results under their fixed names, earlier ones beside them under a number."""

import contextlib
import fcntl
import filecmp
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from jmpose_jax.errors import InputError
from jmpose_jax.files import place_results, put_in_place, write_json


@contextlib.contextmanager
def staging(folder: pathlib.Path | None) -> Iterator[pathlib.Path]:
    """A new folder in which results are made, on the file system of where they go; None makes it anywhere."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="jmpose-") as stage:
            yield pathlib.Path(stage)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jmpose-", dir=folder, ignore_cleanup_errors=True) as stage:
        yield pathlib.Path(stage)


def publish(
    stage: pathlib.Path, folder: pathlib.Path, names: Sequence[str], if_exists: str = "number"
) -> list[pathlib.Path]:
    """Move results from where they were made to where they are looked for.

    Args:
      stage: folder that holds them, on the file system of `folder`.
      folder: gets them.
      names: of the files and folders to move.
      if_exists: "number" keeps earlier ones under the first number that is free for all of them, unless the new ones
        are the same; "replace" does not; "refuse" raises.

    Returns:
      Where the earlier ones are now.

    Raises:
      InputError: there are earlier results, and they are to be refused.
    """
    with _alone(folder):
        if if_exists != "number":  # whose earlier ones are moved away
            place_results(folder, names, if_exists, "--workdir")
        kept = []
        there = [name for name in names if os.path.lexists(folder / name)]
        if if_exists == "number" and there and not all(_same(stage / name, folder / name) for name in names):
            number = 2
            while any(os.path.lexists(_numbered(folder / name, number)) for name in names):
                number += 1
            for name in there:
                kept.append(_numbered(folder / name, number))
                os.rename(folder / name, kept[-1])
            _point_to(kept, folder, names, number)
        for name in names:
            put_in_place(stage / name, folder / name)
    return kept


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """Wait until no other process moves results in a folder; where the file system has no locks, go on without."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _numbered(path: pathlib.Path, number: int) -> pathlib.Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _point_to(kept: Sequence[pathlib.Path], folder: pathlib.Path, names: Sequence[str], number: int) -> None:
    """Let earlier scores say where their predictions are now, if those were renamed with them."""
    for path in kept:
        content = _json(path)
        if not isinstance(content, dict) or not isinstance(content.get("predictions"), str):
            continue
        before = pathlib.Path(content["predictions"])
        for name in names:
            now = _numbered(folder / name, number)
            if before.name == name and os.path.abspath(before) == os.path.abspath(folder / name) and now in kept:
                write_json(path, content | {"predictions": str(before.with_name(now.name))})


def _json(path: pathlib.Path) -> Any:
    """The content of a JSON file; None of what is none, whose author we need not know."""
    try:
        return json.loads(path.read_bytes()) if path.suffix == ".json" else None
    except (OSError, ValueError, RecursionError):
        return None


def _same(new: pathlib.Path, old: pathlib.Path) -> bool:
    """Whether two files, or all files of two folders, have the same content."""
    try:
        if new.is_dir() != old.is_dir():
            return False
        if not new.is_dir():
            return filecmp.cmp(new, old, shallow=False)
        found = [sorted(p.relative_to(place) for p in place.rglob("*") if p.is_file()) for place in (new, old)]
        return found[0] == found[1] and all(filecmp.cmp(new / name, old / name, shallow=False) for name in found[0])
    except OSError:
        return False


def check_place(folder: pathlib.Path, names: Sequence[str], if_exists: str, inputs: Sequence[pathlib.Path]) -> None:
    """What can be known of `publish` before the work starts.

    Args:
      folder, names, if_exists: as in `publish`.
      inputs: folders that are read; results must not come to lie among them.

    Raises:
      InputError: results are there and to be refused, or would be mixed with what is read.
    """
    if if_exists != "number":
        place_results(folder, names, if_exists, "--workdir")
    for source in inputs:
        if os.path.exists(folder) and os.path.exists(source) and os.path.samefile(folder, source):
            raise InputError(f"--workdir={folder} is the folder that is read ({source}); choose another place")

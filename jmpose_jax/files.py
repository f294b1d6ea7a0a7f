"""Files that the commands write, and what is checked of a place before the work that fills it begins."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from jmpose_jax.errors import InputError, NoSpace, is_full_disk

IF_EXISTS = ("refuse", "number", "replace")  # what becomes of results that are there already


@contextlib.contextmanager
def atomic_text(path: str | os.PathLike) -> Iterator[TextIO]:
    """A UTF-8 text file to write to, which replaces `path` once the block ends without an exception."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write text atomically, into a folder that is made where it does not exist."""
    with atomic_text(path) as file:
        file.write(text)


def write_json(path: str | os.PathLike, content: Any, indent: int | None = 1) -> None:
    """Write JSON atomically. NaN and infinity are no JSON: a ValueError, and nothing is written."""
    write_text(path, json.dumps(content, indent=indent, allow_nan=False))


def finite_or_none(figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Figures as JSON takes them: one that is not finite is absent, None."""
    return {name: value if value is not None and math.isfinite(value) else None for name, value in figures.items()}


def check_writable(folder: str | os.PathLike, flag: str = "--output") -> pathlib.Path:
    """The folder, once it is sure that it can be made and written to; nothing is left behind.

    Args:
      folder: where results are to go; it and its parents need not exist.
      flag: that named it, for the message.

    Raises:
      InputError: a file stands in the place of the folder or of a parent, or the place cannot be written to.
    """
    folder = pathlib.Path(folder)
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(folder)  # a name that no file can have
        there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        if not there.is_dir():
            raise InputError(f"{flag}={folder}: {there} is no folder; give a folder that can be made or written to")
        if any(len(os.fsencode(part)) > os.pathconf(there, "PC_NAME_MAX") for part in folder.parts):
            raise InputError(f"{flag}={folder}: a part of it is too long for a name; choose another place")
        with tempfile.NamedTemporaryFile(dir=there, prefix=".jmpose-"):
            pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{flag}={folder}: cannot be written to ({reason}); choose another place") from error
    return folder


def json_files(folder: str | os.PathLike) -> list[pathlib.Path]:
    """The .json files of a folder with one file a video, in the order of their names.

    Raises:
      InputError: the folder is not there, is a file, or holds none.
    """
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give the folder of the per-video JSON files, {folder.parent} perhaps")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the per-video JSON files")
    found = sorted(folder.glob("*.json"))
    if not found:
        below = sorted({path.parent for path in folder.glob("*/**/*.json")})
        hint = f"; there are some in {below[0]}" if below else ""
        raise InputError(f"{folder}: holds no .json file; give the folder of the per-video JSON files{hint}")
    return found


def same_file(a: str | os.PathLike, b: str | os.PathLike) -> bool:
    """Whether two paths are of one file, by links of any kind too; for a file that is yet to be written as well."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # of links that may not be followed
            return os.path.realpath(a) == os.path.realpath(b)
        return False


def check_inputs_kept(
    inputs: Iterable[str | os.PathLike], outputs: Iterable[str | os.PathLike], flag: str = "--output"
) -> None:
    """Raises InputError where writing a result would replace what is read.

    Args:
      inputs: files (and folders) that the command reads.
      outputs: files (and folders) that it will write; what lies in such a folder would go with it.
      flag: that says where the results go, for the message.
    """
    places: dict[pathlib.Path, str | os.PathLike] = {}
    for source in inputs:
        for place in (pathlib.Path(source).absolute(), pathlib.Path(os.path.realpath(source))):
            for held in (place, *place.parents):
                places.setdefault(held, source)
    for result in outputs:
        for place, source in places.items():
            if same_file(place, result):
                raise InputError(f"{flag}: {result} would replace {source}, which is read; choose another place")


def place_results(
    path: str | os.PathLike, names: Iterable[str] = (), if_exists: str = "refuse", flag: str = "--output"
) -> pathlib.Path:
    """Where results go, so that none of an earlier run is replaced unless that is asked for. Nothing is changed yet.

    Args:
      path: the folder, or the file where `names` is empty.
      names: of the results in the folder; the folder holds results where one of them is there. One with an ending
        (`poses.json`) is a file, one without (`predictions`) a folder.
      if_exists: "refuse"; "number": take the first of PATH-2, PATH-3, … without results; "replace": take PATH.
      flag: that named the place, for the message.

    Raises:
      InputError: there are results, and they are to be kept; or what is to be replaced is a folder in the place of a
        file, or the reverse, and no result of ours.
    """
    path, names = pathlib.Path(path), tuple(names)

    def found(place: pathlib.Path) -> list[pathlib.Path]:
        return [file for file in ([place / name for name in names] or [place]) if os.path.lexists(file)]

    if if_exists not in IF_EXISTS:
        raise InputError(f"--if_exists={if_exists} is not known; use one of {', '.join(IF_EXISTS)}")
    there = found(path)
    if not there or if_exists == "replace":
        for file in there:
            _check_kind(file, is_folder=bool(names) and not file.suffix, flag=f"{flag}={path}: ")
        return path
    if if_exists == "refuse":
        what = there[0].relative_to(path) if names else path
        holds = f"holds results already ({what})" if names else "exists already"
        raise InputError(
            f"{flag}={path}: {holds}; choose another place, or give --if_exists=number to keep both, "
            "--if_exists=replace to replace them"
        )
    if path.name in ("", ".."):  # the working folder, say, has no name to put a number to
        path = path.resolve()
    if not path.name:
        raise InputError(f"{flag}={path}: has no name to put a number to; choose another place")
    ending = "" if names else path.suffix
    stem = path.name.removesuffix(ending) if ending else path.name
    number = 2
    while found(candidate := path.with_name(f"{stem}-{number}{ending}")):
        number += 1
    return candidate


def _check_kind(target: pathlib.Path, is_folder: bool, flag: str = "") -> None:
    """Raises InputError where `target` is there and is no folder though one is to replace it, or the reverse."""
    if os.path.lexists(target) and target.is_dir() != is_folder:
        there, wanted = ("file", "folder") if is_folder else ("folder", "file")
        raise InputError(
            f"{flag}{target} is a {there}, where a {wanted} of results goes; move it, or choose another place"
        )


def put_in_place(stage: pathlib.Path, target: pathlib.Path) -> None:
    """Give a finished file or folder its name; an earlier one of that name goes, once the new one is there.

    Raises:
      InputError: a folder stands in the place of a file, or the reverse; it stays.
    """
    _check_kind(target, stage.is_dir())
    if not target.is_dir() or target.is_symlink():
        os.replace(stage, target)
        return
    old = target.with_name(f"{target.name}.replaced{os.getpid()}")
    shutil.rmtree(old, ignore_errors=True)
    os.replace(target, old)
    os.replace(stage, target)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def staged(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A folder to write results in, which move to `folder` together once the block ends without an exception.

    Otherwise nothing is left: neither what was written nor a folder that was made for it.

    Raises:
      NoSpace: in place of what the system says of a full disk.
    """
    folder = pathlib.Path(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    stage = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = pathlib.Path(tempfile.mkdtemp(dir=folder, prefix=".jmpose-"))
        yield stage
        for result in sorted(stage.iterdir()):
            put_in_place(result, folder / result.name)
    except OSError as error:
        if is_full_disk(error):
            raise NoSpace(
                f"{folder}: no room for the results ({error.strerror}); free space, or choose another place"
            ) from error
        raise
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()  # refused where it holds something

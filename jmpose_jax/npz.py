"""Reading .npz files whose author we do not know (arrays alone, no pickle is ever carried out), and writing them."""

import os
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping

import numpy as np

from jmpose_jax.errors import InputError

# What zipfile, zlib and NumPy's reader of headings say of bytes that are none of theirs, or are enciphered.
DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, RuntimeError, MemoryError)
DAMAGED += (SyntaxError, TypeError, KeyError, IndexError, AttributeError, OverflowError, struct.error)


def read_npz(path: str | os.PathLike, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an .npz.

    Args:
      path: the file.
      names: of those that are read, where they are there; others may hold what they like. None reads all.

    Raises:
      InputError: no such file, no .npz, a damaged one, or an array holds Python objects.
    """
    found: dict[str, np.ndarray] = {}
    name = ""
    try:
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            raise InputError(f"{path}: is one array; give an .npz with arrays by name")
        with opened as archive:
            for name in archive.files:
                if names is None or name in names:
                    found[name] = archive[name]
                    if not isinstance(found[name], np.ndarray):  # a member of the archive that is no .npy
                        raise InputError(f"{path}: {name} is no array; save arrays alone, by numpy.savez")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            what = f"array {name!r} holds" if name else "it is no .npz, or holds"
            raise InputError(f"{path}: {what} Python objects (a pickle), refused; save plain arrays") from error
        raise InputError(f"{path}: {name}: cannot be read ({error}); save it again by numpy.savez") from error
    except DAMAGED as error:
        said = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{path}: cannot be read ({said[0][:80]}); save it again by numpy.savez") from error
    return found


def write_npz(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays atomically, of whatever names: those of `numpy.savez`'s own arguments are lost by it.

    Args:
      path: of the file.
      arrays: by name, without Python objects.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

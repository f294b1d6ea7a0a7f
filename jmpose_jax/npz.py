"""Reading .npz files whose author we do not know: arrays alone, no pickle is ever carried out."""

import os
import zipfile
from collections.abc import Collection

import numpy as np

from jmpose_jax.errors import InputError


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
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            what = f"array {name!r} holds" if name else "it is no .npz, or holds"
            raise InputError(f"{path}: {what} Python objects (a pickle), refused; save plain arrays") from error
        raise InputError(f"{path}: {name}: cannot be read ({error}); save it again by numpy.savez") from error
    except (OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read ({error}); save it again by numpy.savez") from error
    return found

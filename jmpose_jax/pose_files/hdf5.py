"""pandas' tables in HDF5, read without carrying out what a file's pickles ask for.

PyTables keeps attributes that HDF5 has no type for as pickles and unpickles them as they are read: whoever writes the
file decides what runs. Here they are read by an unpickler that knows numbers, text, containers and NumPy's scalars.
"""

import contextlib
import importlib.util
import io
import os
import pathlib
import pickle
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError

EXTRA = ("pandas", "tables")
HARMLESS = {
    *((module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
}

DATED = ("pandas._libs.tslibs", "pandas.tseries")  # what a frequency of dates is, which pandas keeps as a pickle


class _Data(pickle.Unpickler):
    """Refuses every name that is not `HARMLESS`."""

    def __init__(self, data: bytes, refused: list[str], **options: Any):
        super().__init__(io.BytesIO(data), **options)
        self._refused = refused

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            self._refused.append(f"{module}.{name}"[:100])
            raise pickle.UnpicklingError(f"{module}.{name} is refused")
        return super().find_class(module, name)


@contextlib.contextmanager
def _data_only(path: pathlib.Path) -> Iterator[None]:
    """PyTables unpickles data alone within the block; InputError where a file has asked for more."""
    import tables.atom
    import tables.attributeset

    refused: list[str] = []
    stand_in = types.ModuleType("pickle")
    stand_in.__dict__.update({name: getattr(pickle, name) for name in pickle.__all__})
    stand_in.loads = lambda data, **options: _Data(bytes(data), refused, **options).load()
    modules = (tables.atom, tables.attributeset)
    before = [module.pickle for module in modules]
    try:
        for module in modules:
            module.pickle = stand_in
        yield
    except Exception:
        if not refused:
            raise
    finally:
        for module, own in zip(modules, before):
            module.pickle = own
    if any(name.startswith(DATED) for name in refused):
        raise InputError(
            f"{path}: its rows are labelled by dates with a frequency; number them by frames, or give the CSV"
        )
    if refused:
        raise InputError(
            f"{path}: holds a pickle that calls {ascii(refused[0])}, refused; save the table alone, as CSV"
        )


def read_table(path: pathlib.Path) -> tuple[str, Any]:
    """The one table of a file.

    Args:
      path: of an HDF5 file that pandas wrote.

    Returns:
      (key, pandas.DataFrame).

    Raises:
      InputError: pandas or PyTables is not installed, or the file holds no or several tables, or is damaged, or asks
        for code to be run.
    """
    if not all(importlib.util.find_spec(name) for name in EXTRA):
        raise InputError(f"{path}: needs {' and '.join(EXTRA)}; pip install 'jmpose-jax[dlc]', or give the CSV")
    import pandas
    import tables

    with _data_only(path):
        try:
            with warnings.catch_warnings(), pandas.HDFStore(path, mode="r") as store:
                warnings.simplefilter("ignore")
                keys = store.keys()
                if len(keys) != 1:
                    raise InputError(f"{path}: holds {len(keys)} tables; give a file with one")
                table = store[keys[0]]
        except InputError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError, tables.HDF5ExtError, tables.NodeError) as e:
            said = (str(e).splitlines() or [""])[0][:80]
            raise InputError(f"{path}: cannot be read as pandas' table ({said}); give the CSV") from e
    if not isinstance(table, pandas.DataFrame):
        raise InputError(f"{path}: holds no table of rows and columns; give DeepLabCut's .h5 or .csv")
    return keys[0], table


def write_table(path: str | os.PathLike, key: str, values: np.ndarray, like: Any, index: Sequence[Any]) -> None:
    """Write a table atomically, in the types that its columns had; whole numbers that are whole no longer are float64.

    Args:
      path: of the file.
      key: of the table in it.
      values: float64 [rows, columns].
      like: the table whose columns and index it has.
      index: of the rows.
    """
    import pandas

    if like.index.nlevels > 1:
        index = pandas.MultiIndex.from_tuples(index, names=like.index.names)
    else:
        kind = like.index.dtype if like.index.dtype.kind in "iuf" else None
        index = pandas.Index(index, name=like.index.name, dtype=kind)
    columns = [values[:, i].astype(_kind(values[:, i], kind)) for i, kind in enumerate(like.dtypes)]
    frame = pandas.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = like.columns
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels that are text, which PyTables keeps as pickles
            frame.to_hdf(temporary, key=key, mode="w", format="fixed")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _kind(values: np.ndarray, before: Any) -> Any:
    """The type for a column: that which it had, where that holds the values."""
    kind = np.dtype(before) if isinstance(before, np.dtype) else np.dtype(np.float64)
    whole = kind.kind in "iu" and np.isfinite(values).all() and (values == np.round(values)).all()
    fits = whole and np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max
    return kind if kind.kind == "f" or fits else np.dtype(np.float64)

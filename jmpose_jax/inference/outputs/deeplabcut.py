"""`poses.dlc.csv` and `poses.dlc.h5`: the layout that DeepLabCut gives its multi-animal tracks.

A row a frame, three columns (x, y, likelihood) a joint of a track, under four rows of headings: scorer, individuals,
bodyparts, coords. The .h5 holds the same table as pandas' `df_with_missing`, and needs pandas and PyTables.
"""

import csv
import importlib.util
import os
import pathlib

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text
from jmpose_jax.inference.outputs.finite import check_predictions
from jmpose_jax.records import Predictions

SCORER = "jmpose"
COORDINATES = ("x", "y", "likelihood")
LEVELS = ("scorer", "individuals", "bodyparts", "coords")
KEY = "df_with_missing"
EXTRA = ("pandas", "tables")  # Python packages that the .h5 needs


def has_hdf5() -> bool:
    """Whether the packages for the .h5 are installed."""
    return all(importlib.util.find_spec(name) for name in EXTRA)


def write_dlc_csv(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write the table as CSV; what is absent is empty.

    Raises:
      InputError: a number is not finite, or an identity occurs twice in a frame.
    """
    people, columns = _people(predictions), _columns(predictions)
    width = len(COORDINATES) * predictions.skeleton.num_joints
    order = {track: place for place, track in enumerate(_tracks(predictions))}
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        for level, name in enumerate(LEVELS):
            writer.writerow([name, *(column[level] for column in columns)])
        for frame in range(len(predictions.images)):
            row = [""] * (width * len(order))
            for track, n in people.get(frame, {}).items():
                start = order[track] * width
                row[start : start + width] = [f"{value:.6g}" for value in _values(predictions, n).tolist()]
            writer.writerow([frame if predictions.numbers is None else predictions.numbers[frame], *row])


def write_dlc_h5(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write the table as HDF5; what is absent is NaN.

    Raises:
      InputError: as `write_dlc_csv`, or pandas or PyTables is not installed.
    """
    if not has_hdf5():
        raise InputError(f"{path}: needs {' and '.join(EXTRA)}; pip install 'jmpose-jax[dlc]'")
    import pandas

    tracks = _tracks(predictions)
    width = len(COORDINATES) * predictions.skeleton.num_joints
    table = np.full((len(predictions.images), width * len(tracks)), np.nan, np.float32)
    for frame, people in _people(predictions).items():
        for track, n in people.items():
            start = tracks.index(track) * width
            table[frame, start : start + width] = _values(predictions, n)
    # Of a table without columns, pandas infers no names of levels from the tuples.
    columns = _columns(predictions) or [[] for _ in LEVELS]
    build = pandas.MultiIndex.from_tuples if tracks else pandas.MultiIndex.from_arrays
    table = table.astype(np.float64)
    frame = pandas.DataFrame(table, columns=build(columns, names=LEVELS), index=predictions.numbers)
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        # "fixed" holds any number of columns, "table" about a thousand.
        frame.to_hdf(temporary, key=KEY, mode="w", format="fixed")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _tracks(predictions: Predictions) -> list[int]:
    return np.unique(predictions.track_id).tolist()


def _columns(predictions: Predictions) -> list[tuple[str, str, str, str]]:
    joints = predictions.skeleton.joints
    return [
        (SCORER, f"track_{track}", joint, coordinate)
        for track in _tracks(predictions)
        for joint in joints
        for coordinate in COORDINATES
    ]


def _people(predictions: Predictions) -> dict[int, dict[int, int]]:
    """Frame -> track -> which of the N poses."""
    check_predictions(predictions)
    people: dict[int, dict[int, int]] = {}
    for n, (frame, track) in enumerate(zip(predictions.frame.tolist(), predictions.track_id.tolist())):
        if track in people.setdefault(frame, {}):
            raise InputError(
                f"video {predictions.video}: identity {track} occurs twice in frame {frame}, and DeepLabCut's layout "
                "has one place for it; leave --formats=dlc out"
            )
        people[frame][track] = n
    return people


def _values(predictions: Predictions, n: int) -> np.ndarray:
    """float32 [K × 3] of one pose: x, y, likelihood of each joint."""
    return np.concatenate([predictions.keypoints[n], predictions.scores[n][:, None]], axis=1).ravel()

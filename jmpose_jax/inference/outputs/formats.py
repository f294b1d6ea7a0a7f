"""Which files there are, and how they are written: two always, others by the name of their form."""

import pathlib
from collections.abc import Callable, Iterable, Sequence

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs import deeplabcut
from jmpose_jax.inference.outputs.coco import write_coco
from jmpose_jax.inference.outputs.mot import write_mot
from jmpose_jax.inference.outputs.posetrack18 import write_posetrack18
from jmpose_jax.inference.outputs.tidy_csv import write_csv
from jmpose_jax.records import Predictions

JSON, CSV = "poses.json", "poses.csv"
ALWAYS = (JSON, CSV)

# By the name of a form, the files that it adds.
WRITERS: dict[str, dict[str, Callable[[Predictions, pathlib.Path], None]]] = {
    "coco": {"poses.coco.json": write_coco},
    "dlc": {"poses.dlc.csv": deeplabcut.write_dlc_csv, "poses.dlc.h5": deeplabcut.write_dlc_h5},
    "mot": {"poses.mot.txt": write_mot},
}
FORMATS = tuple(WRITERS)
ALL_FILES = (*ALWAYS, *(name for files in WRITERS.values() for name in files))


def check_formats(formats: Iterable[str], flag: str = "--formats") -> tuple[str, ...]:
    """The forms, each once.

    Raises:
      InputError: one is not known.
    """
    formats = tuple(dict.fromkeys(formats))
    for name in formats:
        if name not in WRITERS:
            raise InputError(f"{flag}={name} is not known; use some of {', '.join(FORMATS)}")
    return formats


def files_of(formats: Iterable[str]) -> tuple[str, ...]:
    """The names of the files that `write_files` leaves."""
    added = [name for form in formats for name in WRITERS[form]]
    return (*ALWAYS, *(name for name in added if not name.endswith(".h5") or deeplabcut.has_hdf5()))


def missing_extra(formats: Iterable[str]) -> str:
    """One line on a file that is left out since Python packages are not installed, or nothing."""
    if "dlc" in formats and not deeplabcut.has_hdf5():
        packages = " and ".join(deeplabcut.EXTRA)
        return f"poses.dlc.h5 is left out: it needs {packages} (pip install 'jmpose-jax[dlc]')"
    return ""


def write_files(
    predictions: Predictions,
    folder: pathlib.Path,
    formats: Iterable[str] = (),
    *,
    box_source: str | None = None,
    lost_frames: Sequence[int] = (),
    estimated_frames: Sequence[int] | None = None,
) -> None:
    """Write `files_of(formats)` into a folder; for all of them or none, give a stage of `files.staged`.

    Args:
      predictions: the poses of one video.
      folder: where they go.
      formats: of `FORMATS`.
      box_source, lost_frames, estimated_frames: as `to_posetrack18`.

    Raises:
      InputError: a number is not finite, or a form cannot hold the poses.
    """
    write_posetrack18(
        predictions,
        folder / JSON,
        box_source=box_source,
        lost_frames=lost_frames,
        estimated_frames=estimated_frames,
    )
    write_csv(predictions, folder / CSV)
    writers = {name: write for form in formats for name, write in WRITERS[form].items()}
    for name in files_of(formats):
        if name in writers:
            writers[name](predictions, folder / name)

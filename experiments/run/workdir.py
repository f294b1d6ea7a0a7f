"""What must be true of a training's folder before the work on it begins."""

import pathlib

from experiments.configuration.files import where_runs_are
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable
from jmpose_jax.train import checkpoints, writers

FILES = ("config.json", "dataset.json", checkpoints.NAMES, writers.FILE)
FOLDERS = (checkpoints.FOLDER, checkpoints.DAMAGED, "tensorboard")


def check_workdir(folder: pathlib.Path, flag: str = "--workdir") -> None:
    """Raises InputError where a training cannot write into `folder`, or finds there what it did not leave.

    Args:
      folder: of the run; it need not exist.
      flag: that named it, for the message.
    """
    check_writable(folder, flag)
    if not (folder / checkpoints.FOLDER).is_dir() and (below := where_runs_are(folder)):
        raise InputError(f"{flag}={folder} is no run{below}, as {flag}, or a new folder")
    for name in FILES:
        path = folder / name
        if path.is_dir():
            raise InputError(f"{flag}={folder}: {path} is a folder, a training writes a file there; move it away")
    for name in FOLDERS:
        check_writable(folder / name, flag)
    for path in (folder / checkpoints.FOLDER).glob("*"):
        if path.name.isdigit() and not path.is_dir():
            raise InputError(f"{flag}={folder}: {path} is no folder, as a checkpoint is; move it away")

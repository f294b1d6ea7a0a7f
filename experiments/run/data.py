"""Where a config's data set lies, and what lies there instead."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipeline.formats.schema import FEATURES_FILE, read_skeleton
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import SKELETONS, Skeleton

UNFINISHED = ".unfinished"
SOURCE_FOLDERS = ("images", "posetrack_data", "train2017", "val2017")


def dataset_root(config: Mapping[str, Any]) -> pathlib.Path:
    """The prepared data set of a config.

    Raises:
      InputError: none is given, or it is no output of `jmpose prepare`; says what it is instead.
    """
    root = config["dataset"]["root"]
    if not root:
        raise InputError("config.dataset.root is empty; give --config.dataset.root=DIR, an output of `jmpose prepare`")
    return check_prepared(root, "--config.dataset.root")


def skeleton_of(config: Mapping[str, Any]) -> Skeleton:
    """The joints that a config's model estimates: known everywhere, or of its data set.

    Raises:
      InputError: there is no skeleton of this name, or no data set to ask.
    """
    name = config["dataset"]["skeleton"]
    if name in SKELETONS:
        return SKELETONS[name]
    stored = read_skeleton(dataset_root(config))
    if stored is None or stored.name != name:
        known = ", ".join([*SKELETONS, *([stored.name] if stored else [])])
        raise InputError(f"config.dataset.skeleton={name!r} is not known; use one of {known}")
    return stored


def check_prepared(root: str | os.PathLike, flag: str) -> pathlib.Path:
    """The folder that a flag gives as a prepared data set.

    Raises:
      InputError: it is no output of `jmpose prepare`; says what it is instead.
    """
    folder, name = pathlib.Path(root), flag.removeprefix("--") if flag.startswith("--config.") else flag
    try:
        if not (folder / FEATURES_FILE).is_file():
            raise InputError(f"{name}={root} {_what_it_is(folder, flag)}")
    except OSError as error:
        raise InputError(f"{name}={root} cannot be read ({error.strerror})") from error
    return folder


def _what_it_is(folder: pathlib.Path, flag: str) -> str:
    """Why a folder is no output of `jmpose prepare`, and what to do."""
    unfinished = folder if folder.name.endswith(UNFINISHED) else folder.with_name(folder.name + UNFINISHED)
    if unfinished.is_dir():
        return f"is not finished ({unfinished} is there): run the same `jmpose prepare` again, it goes on"
    if not folder.exists():
        near = next(place for place in folder.absolute().parents if place.exists())
        return f"does not exist (of it there is {near}); check {flag}=DIR"
    if not folder.is_dir():
        return "is a file; give the folder that `jmpose prepare` wrote"
    # A workdir of quickstart has its own two levels below.
    below = [path.parent for pattern in ("*", "data/*") for path in sorted(folder.glob(f"{pattern}/{FEATURES_FILE}"))]
    if below:
        return f"is no output of `jmpose prepare`, but holds one: give {flag}={below[0]}"
    if (folder / "annotations").is_dir() or any((folder / name).is_dir() for name in SOURCE_FOLDERS):
        return (
            "is a source that is not prepared yet: run `jmpose prepare --dataset=NAME --source="
            f"{folder} --output=DIR`, and give DIR"
        )
    if not any(folder.iterdir()):
        return "is empty; give the folder that `jmpose prepare` wrote"
    return f"is no output of `jmpose prepare`: it has no {FEATURES_FILE}; give the folder that `jmpose prepare` wrote"


def annotations(config: Mapping[str, Any]) -> pathlib.Path:
    """The folder of the evaluation split's ground truth.

    Raises:
      InputError: the prepared data set has none.
    """
    root, split = dataset_root(config), config["dataset"]["eval_split"]
    folder = root / "annotations" / split
    if not split or not folder.is_dir():
        there = sorted(path.name for path in (root / "annotations").glob("*") if path.is_dir())
        raise InputError(
            f"config.dataset.eval_split={split!r}: {root} has no annotations of it; "
            + (f"there are {', '.join(there)}" if there else "it has none at all: prepare it again")
        )
    return folder


def check_split(config: Mapping[str, Any], annotated: bool) -> None:
    """Raises InputError where the evaluation split is not there, or where it has to be, not `annotated`."""
    folder, split = dataset_root(config), config["dataset"]["eval_split"]
    for path in [folder / f"clips-{split}.npz", *([folder / "annotations" / split] if annotated else [])]:
        if not path.exists():
            there = ", ".join(sorted(p.stem.removeprefix("clips-") for p in folder.glob("clips-*.npz"))) or "none"
            raise InputError(
                f"config.dataset.eval_split={split!r}: {path} does not exist (prepared splits: {there}); each cell is "
                "evaluated on it"
            )

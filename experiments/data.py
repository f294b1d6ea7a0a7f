"""Loaders from a config, for the commands that train and evaluate."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from data_pipeline.loader import make_loader
from jmpose_jax.errors import InputError

FEATURES = "features.json"
UNFINISHED = ".unfinished"
SOURCE_FOLDERS = ("images", "posetrack_data", "train2017", "val2017")
FLOW_STRIDE = 4  # crop pixels a cell of the flow, where a config does not say


def dataset_root(config: Mapping[str, Any]) -> pathlib.Path:
    """The prepared data set of a config.

    Raises:
      InputError: none is given, or it is no output of `jmpose prepare`; says what it is instead.
    """
    root = config["dataset"]["root"]
    if not root:
        raise InputError("config.dataset.root is empty; give --config.dataset.root=DIR, an output of `jmpose prepare`")
    return check_prepared(root, "--config.dataset.root")


def check_prepared(root: str | os.PathLike, flag: str) -> pathlib.Path:
    """The folder that a flag gives as a prepared data set.

    Raises:
      InputError: it is no output of `jmpose prepare`; says what it is instead.
    """
    folder, name = pathlib.Path(root), flag.removeprefix("--") if flag.startswith("--config.") else flag
    try:
        if not (folder / FEATURES).is_file():
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
    below = [path.parent for pattern in ("*", "data/*") for path in sorted(folder.glob(f"{pattern}/{FEATURES}"))]
    if below:
        return f"is no output of `jmpose prepare`, but holds one: give {flag}={below[0]}"
    if (folder / "annotations").is_dir() or any((folder / name).is_dir() for name in SOURCE_FOLDERS):
        return (
            "is a source that is not prepared yet: run `jmpose prepare --dataset=NAME --source="
            f"{folder} --output=DIR`, and give DIR"
        )
    if not any(folder.iterdir()):
        return "is empty; give the folder that `jmpose prepare` wrote"
    return f"is no output of `jmpose prepare`: it has no {FEATURES}; give the folder that `jmpose prepare` wrote"


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


def train_loader(config: Mapping[str, Any], share: tuple[int, int] = (0, 1)) -> Any:
    """Endless augmented batches from the config's training split.

    Args:
      config: of the training.
      share: which part of every batch, and how many parts there are; see `sharding.input_share`.
    """
    dataset, (part, parts) = config["dataset"], share
    return make_loader(
        str(dataset_root(config)),
        dataset["train_split"],
        batch_size=config["train"]["batch_size"] // parts,
        seed=config["seed"],
        train=True,
        augment=dict(dataset["augment"]),
        repeat=True,
        complete_windows=dataset["complete_windows"],
        num_workers=dataset["num_workers"],
        damaged=dataset.get("damaged", "error"),
        process_index=part,
        process_count=parts,
        **_common(dataset),
    )


def eval_loader(config: Mapping[str, Any], split: str | None = None) -> Any:
    """One pass in fixed order over this process's share of a split, the last batch padded."""
    dataset = config["dataset"]
    return make_loader(
        str(dataset_root(config)),
        split or dataset["eval_split"],
        batch_size=config["eval"]["batch_size"],
        seed=0,
        train=False,
        augment=None,
        repeat=False,
        num_workers=0,
        boxes=dataset["boxes"],
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **_common(dataset),
    )


def _common(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "delta": dataset["delta"],
        "input_size": tuple(dataset["input_size"]),
        "skeleton": dataset["skeleton"],
        "box_enlarge": dataset["box_enlarge"],
        "flow_source": dataset["flow_source"],
        "flow_pairs": dataset["flow_pairs"],
        "flow_stride": dataset.get("flow_stride", FLOW_STRIDE),
        "num_threads": dataset["num_threads"],
    }

"""Loaders from a config, for the commands that train and evaluate."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from data_pipeline.loader import make_loader
from jmpose_jax.errors import InputError

FLOW_STRIDE = 4  # crop pixels a cell of the flow, where a config does not say


def dataset_root(config: Mapping[str, Any]) -> pathlib.Path:
    """The prepared data set of a config.

    Raises:
      InputError: none is given, or it is no output of `jmpose prepare`.
    """
    root = config["dataset"]["root"]
    if not root:
        raise InputError("config.dataset.root is empty; give --config.dataset.root=DIR, an output of `jmpose prepare`")
    folder = pathlib.Path(root)
    if not (folder / "features.json").is_file():
        raise InputError(f"config.dataset.root={root} is no output of `jmpose prepare`: it has no features.json")
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

"""Sequences as a kind of data: loaders from a config, the shapes of a batch, and which windows a batch holds."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from data_pipeline.sequences.loader import SequenceLoader, Split, WindowOptions, evaluation_split, make_loader
from data_pipeline.sequences.noise import NoiseModel
from data_pipeline.sequences.records import SequenceSet
from data_pipeline.sequences.sources import MOTIONS, SourceOptions, read_sequences
from experiments.configuration.naming import as_in_config
from jmpose_jax.errors import InputError
from jmpose_jax.records import SequenceBatch
from jmpose_jax.refinement.coordinates import Coordinates

KEYS = ("window", "step", "tail", "train_windows", "padding", "turn")  # of `config.dataset` and of `WindowOptions`

NAMES = (
    *KEYS,
    "coordinates",
    "roots",
    "size",
    "source",
    "root",
    "estimates",
    "representation",
    "dimensions",
    "overlap",
)


def train(config: Mapping[str, Any], share: tuple[int, int] = (0, 1)) -> SequenceLoader:
    """Endless batches from the config's training split.

    Args:
      config: of the training.
      share: which part of every batch, and how many parts there are; see `sharding.input_share`.
    """
    dataset = config["dataset"]
    with as_in_config("config.dataset", *NAMES):
        return make_loader(
            read(config, dataset["train_split"]),
            window_options(config),
            config["train"]["batch_size"] // share[1],
            train=True,
            noise=noise(config),
            seed=config["seed"],
            share=share,
        )


def evaluate(config: Mapping[str, Any], split: str | None = None) -> SequenceLoader:
    """One pass in fixed order over this process's share of a split, the last batch padded."""
    with as_in_config("config.dataset", *NAMES):
        return make_loader(
            read(config, split or config["dataset"]["eval_split"]),
            window_options(config),
            config["eval"]["batch_size"],
            noise=noise(config),
            share=(jax.process_index(), jax.process_count()),
        )


def evaluated(config: Mapping[str, Any], split: str | None = None) -> Split:
    """The split that `evaluate` goes through: truth, estimates, and the way from windows back to sequences."""
    with as_in_config("config.dataset", *NAMES):
        return evaluation_split(
            read(config, split or config["dataset"]["eval_split"]), window_options(config), noise(config)
        )


def read(config: Mapping[str, Any], split: str) -> SequenceSet:
    """The sequences of a split, of as many joints and dimensions as the config says.

    Raises:
      InputError: as `read_sequences`; or the data have other joints or dimensions.
    """
    dataset = config["dataset"]
    options = SourceOptions(
        source=dataset["source"],
        root=dataset["root"],
        estimates=dataset["estimates"],
        representation=dataset["representation"],
        dimensions=dataset["dimensions"],
        overlap=dataset["overlap"],
    )
    data = _read(options, split)
    found, wanted = (len(data.joints), data.dimensions), (dataset["joints"], dataset["dimensions"])
    if found != wanted:
        raise InputError(
            f"config.dataset.joints={wanted[0]} in config.dataset.dimensions={wanted[1]} dimensions: the data of "
            f"source={options.source!r} have {found[0]} in {found[1]}; set both to these"
        )
    return data


# Training reads a split for its loader and for `dataset.json`, validation each time.
_read = functools.lru_cache(maxsize=4)(read_sequences)


def window_options(config: Mapping[str, Any]) -> WindowOptions:
    """Of `config.dataset`, how sequences are cut and seen."""
    dataset = config["dataset"]
    size = tuple(dataset["size"]) or None
    coordinates = Coordinates(dataset["coordinates"], tuple(dataset["roots"]), size)
    return WindowOptions(coordinates=coordinates, **{key: dataset[key] for key in KEYS})


def noise(config: Mapping[str, Any]) -> NoiseModel | None:
    """The estimator that estimates of motions are drawn from; None where the files have estimates."""
    dataset = config["dataset"]
    if dataset["source"] != MOTIONS:
        return None
    given = dict(dataset["noise"])
    factor = given.pop("factor")
    with as_in_config("config.dataset.noise", *given):
        return NoiseModel(**given).scaled(factor)


def spec(config: Mapping[str, Any], batch_size: int = 1) -> SequenceBatch:
    """Shapes and dtypes of the batches that the loader makes for a config, no data needed."""
    dataset = config["dataset"]
    return SequenceBatch.spec(batch_size, dataset["window"], dataset["joints"] * dataset["dimensions"])


def describe(table: Split, index: Sequence[int]) -> list[dict[str, Any]]:
    """The windows of some rows of the table, for people who want to look at them."""
    windows, sequences = table.windows, table.data.sequences
    return [
        {
            "window": int(row),
            "sequence": sequences[windows.sequence[row]].name,
            "first_frame": int(windows.start[row]),
            "frames": windows.window,
        }
        for row in index
    ]


def about(config: Mapping[str, Any]) -> str:
    """One example of the data in words."""
    dataset = config["dataset"]
    return f"one window of {dataset['window']} frames, {dataset['joints']} joints in {dataset['dimensions']} dimensions"


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The training split as `dataset.json` holds it: where it lies, and a digest of its poses."""
    dataset = config["dataset"]
    data = read(config, dataset["train_split"])
    digest = hashlib.sha256(repr((data.joints, data.unit)).encode())
    for sequence in data.sequences:
        digest.update(sequence.name.encode())
        for poses in (sequence.poses, sequence.target):
            if poses is not None:
                digest.update(np.ascontiguousarray(poses).tobytes())
    return {
        "root": dataset["root"],
        "split": dataset["train_split"],
        "clips": len(data.sequences),
        "sha256": digest.hexdigest(),
    }

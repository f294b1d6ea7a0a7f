"""Clips as a kind of data: loaders from a config, the shapes of a batch, and which clips a batch holds."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions, FlowOptions, Reading, Share
from data_pipeline.clips.table import ClipTable
from experiments.run.data import dataset_root, skeleton_of
from jmpose_jax.records import ClipBatch

TRAINED_ON = ("key_record", "image_id", "box", "keypoints", "annotated")  # columns of the clip table
FLOW_STRIDE = 4  # crop pixels a cell of the flow, where a config does not say


def train(config: Mapping[str, Any], share: tuple[int, int] = (0, 1)) -> Any:
    """Endless augmented batches from the config's training split.

    Args:
      config: of the training.
      share: which part of every batch, and how many parts there are; see `sharding.input_share`.
    """
    dataset, (part, parts) = config["dataset"], share
    training = dict(augment=dict(dataset["augment"]), complete_windows=dataset["complete_windows"])
    return make_loader(
        dataset_root(config),
        dataset["train_split"],
        clip_options(dataset, **training),
        config["train"]["batch_size"] // parts,
        train=True,
        seed=config["seed"],
        repeat=True,
        flow=flow_options(dataset),
        reading=Reading(dataset["num_workers"], dataset["num_threads"], damaged=dataset.get("damaged", "error")),
        share=Share(part, parts),
    )


def evaluate(config: Mapping[str, Any], split: str | None = None) -> Any:
    """One pass in fixed order over this process's share of a split, the last batch padded."""
    dataset = config["dataset"]
    return make_loader(
        dataset_root(config),
        split or dataset["eval_split"],
        clip_options(dataset, boxes=dataset["boxes"]),
        config["eval"]["batch_size"],
        repeat=False,
        flow=flow_options(dataset),
        reading=Reading(num_threads=dataset["num_threads"]),
        share=Share(jax.process_index(), jax.process_count()),
    )


def clip_options(dataset: Mapping[str, Any], **more: Any) -> ClipOptions:
    """Of `config.dataset`, what training and evaluation share; `more` are further fields."""
    size = tuple(dataset["input_size"])
    return ClipOptions(dataset["delta"], size, dataset["skeleton"], dataset["box_enlarge"], **more)


def flow_options(dataset: Mapping[str, Any]) -> FlowOptions:
    """Of `config.dataset`, the flow."""
    return FlowOptions(dataset["flow_source"], dataset["flow_pairs"], dataset.get("flow_stride", FLOW_STRIDE))


def spec(config: Mapping[str, Any], batch_size: int = 1) -> ClipBatch:
    """Shapes and dtypes of the batches that the loader makes for a config, no data needed."""
    dataset = config["dataset"]
    flow = flow_options(dataset)
    return ClipBatch.spec(
        batch_size,
        delta=dataset["delta"],
        input_size=dataset["input_size"],
        num_joints=skeleton_of(config).num_joints,
        flow_stride=None if flow.source == "none" else flow.stride,
        flow_pairs=flow.pairs,
    )


def about(config: Mapping[str, Any]) -> str:
    """One example of the data in words."""
    return f"one clip of {config['dataset']['input_size']} pixels"


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The training split as `dataset.json` holds it: where it lies, and a digest of its clip table."""
    root, split = config["dataset"]["root"], config["dataset"]["train_split"]
    table = ClipTable.load(dataset_root(config), split)
    digest = hashlib.sha256(repr((table.videos, table.skeleton.name)).encode())
    for name in TRAINED_ON:
        digest.update(np.ascontiguousarray(table.clips[name]).tobytes())
    return {"root": root, "split": split, "clips": len(table), "sha256": digest.hexdigest()}


def describe(table: ClipTable, index: Sequence[int]) -> list[dict[str, Any]]:
    """The clips of some rows of the table, for people who want to look at them."""
    return [
        {
            "clip": int(row),
            "video": str(table.videos[table.clips["video"][row]]),
            "image_id": int(table.clips["image_id"][row]),
            "person_index": int(table.clips["person_index"][row]),
        }
        for row in index
    ]

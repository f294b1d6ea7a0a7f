"""The data sets that can be prepared, under the names that commands know them by."""

import pathlib

from data_pipeline.sources import coco, posetrack, posetrack17
from data_pipeline.sources.annotations import Video
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17, POSETRACK17, Skeleton

_READERS = {
    "posetrack17": posetrack17.read_split,
    "posetrack18": posetrack.read_split,
    "posetrack21": posetrack.read_split,
    "coco": coco.read_split,
    "synthetic": posetrack.read_split,
}
DATASETS = tuple(_READERS)


def find_splits(source: pathlib.Path, dataset: str, wanted: list[str] | None = None) -> dict[str, list[pathlib.Path]]:
    """The annotation files of each split.

    Args:
      source: the data set's folder.
      dataset: one of `DATASETS`.
      wanted: splits to keep; None for all that the source has.

    Raises:
      InputError: for an unknown data set or split, a missing folder, or one without annotations.
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset {dataset!r} is not known; use one of {', '.join(DATASETS)}")
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give the folder that holds images/ and annotations/ as --source")
    found = coco.find_splits(source) if dataset == "coco" else posetrack.find_splits(source, dataset)
    unknown = [split for split in wanted or () if split not in found]
    if unknown:
        raise InputError(f"--split {unknown[0]}: not in {source}, which has {', '.join(found)}")
    return {split: files for split, files in found.items() if not wanted or split in wanted}


def read_split(dataset: str, source: pathlib.Path, files: list[pathlib.Path], split: str) -> list[Video]:
    """The videos of one split; see the readers of the data sets."""
    return _READERS[dataset](source, files, split)


def skeleton_of(dataset: str) -> Skeleton:
    """The order of the 17 joints that the data set's records hold."""
    return COCO17 if dataset == "coco" else POSETRACK17

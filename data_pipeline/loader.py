"""Batches of clips from a prepared folder, through Grain: shuffled, sharded over hosts, with a state of a few bytes."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import grain
import numpy as np
from absl import flags

from data_pipeline.array_record import ArrayRecordSource
from data_pipeline.boxes import SCORE_THRESHOLD, read_detections
from data_pipeline.clip_source import ClipSource, ToExample
from data_pipeline.clips import ClipTable
from data_pipeline.flow import check_flow, crop_flow
from data_pipeline.schema import DATASET_NAME, VERSION
from data_pipeline.shards import FORMATS
from data_pipeline.tfrecord import TFRecordSource
from data_pipeline.transforms import Augmentation
from jmpose_jax.checks import field, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import SKELETONS
from jmpose_jax.stopping import SIGNALS, deaf_children

Records = TFRecordSource | ArrayRecordSource
__all__ = ["ClipTable", "Loader", "make_loader"]


class Loader(Iterator[ClipBatch]):
    """An iterator of `ClipBatch` with NumPy leaves, whose position can be saved and restored.

    Attributes:
      table: the clips; `batch.index` counts its rows.
      damaged_clips: clips given so far by this loader that had damaged records (`damaged="skip"`).
      damaged_reads: damaged records in them; each is logged once, by file and offset.
    """

    def __init__(self, dataset: grain.MapDataset, table: ClipTable, records: Records, settings: dict[str, Any]):
        """Use `make_loader`."""
        self.table = table
        self.damaged_clips = self.damaged_reads = 0
        self._records = records
        self._settings = settings
        workers = settings["num_workers"]
        if workers and not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers inherit absl's flags and refuse to start without them
        self._iterator = iter(
            grain.experimental.ElasticIterator(
                dataset,
                settings["batch_size"] * settings["process_count"],
                grain.sharding.ShardOptions(settings["process_index"], settings["process_count"], drop_remainder=True),
                # Grain counts single examples here.
                read_options=grain.ReadOptions(
                    num_threads=settings["num_threads"],
                    prefetch_buffer_size=max(settings["prefetch"] * settings["batch_size"], 1),
                ),
                multiprocessing_options=grain.MultiprocessingOptions(num_workers=workers) if workers else None,
            )
        )

    def __len__(self) -> int:
        """Batches an epoch: in training without the incomplete last one, in evaluation with it (padded)."""
        return self._settings["batches"]

    def __next__(self) -> ClipBatch:
        if self._settings["num_workers"]:
            # Workers start with a first batch. They are told when to end: a signal to all processes of a run must not
            # take the batches away by which the run comes to its next step.
            with deaf_children(*SIGNALS):
                arrays = dict(next(self._iterator))
        else:
            arrays = dict(next(self._iterator))
        damaged = arrays.pop("damaged")
        if damaged.any():
            self.damaged_clips += int(np.count_nonzero(damaged))
            self.damaged_reads += int(damaged.sum())
        return ClipBatch(**arrays)

    def get_state(self) -> dict[str, int]:
        """The position, as a small JSON-able dict; equal on all hosts and for any number of workers."""
        return {**self._iterator.get_state(), **self._identity()}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Go on where the state was taken.

        Raises:
          InputError: where the state is of another seed or data set, so that the order of clips would differ.
        """
        for name, value in self._identity().items():
            if state.get(name, value) != value:
                raise InputError(
                    f"input position was saved with {name}={state[name]}, this run has {value}; "
                    "use the data set and seed of the earlier run, or a new workdir"
                )
        self._iterator.set_state({"global_next_index": int(state["global_next_index"])})

    def _identity(self) -> dict[str, int]:
        return {"seed": self._settings["seed"], "clips": len(self.table)}

    def close(self) -> None:
        """Stop the threads and workers and close the shards."""
        self._iterator.close()
        self._records.close()


def make_loader(
    folder: str | pathlib.Path,
    split: str,
    *,
    delta: int,
    input_size: tuple[int, int],
    batch_size: int,
    skeleton: str = "posetrack15",
    seed: int = 0,
    train: bool = False,
    augment: Mapping[str, Any] | None = None,
    flow_source: str = "none",
    flow_pairs: str = "consecutive",
    flow_stride: int = 4,
    boxes: str | pathlib.Path = "ground_truth",
    box_threshold: float = SCORE_THRESHOLD,
    box_enlarge: float = 1.25,
    complete_windows: bool = False,
    repeat: bool | None = None,
    num_workers: int = 0,
    num_threads: int = 2,
    process_index: int = 0,
    process_count: int = 1,
    prefetch: int = 2,
    cache_mib: int = 48,
    damaged: str = "error",
) -> Loader:
    """A loader of a split of a prepared folder.

    Training batches are shuffled anew each epoch and augmented; the same seed gives the same batches whatever the
    number of threads, workers or processes. Evaluation goes through the table once in its order; the last batch is
    padded by repetitions with `valid` 0.

    Args:
      folder: output of `jmpose prepare`.
      split: its split.
      delta: neighbours on each side; clips have T = 2 * delta + 1 frames.
      input_size: (height, width) of the crops in pixels.
      batch_size: clips a batch of this process.
      skeleton: "posetrack15", "posetrack17" or "coco17", the order of the joints; those that the data set does not
        annotate have weight 0.
      seed: of order and augmentation.
      train: shuffle, and augment if `augment` is given; else fixed order, plain crops.
      augment: fields of `transforms.Augmentation`; None for none.
      flow_source: "none", "dis", "exact", or "raft" (in the model: the batch carries none).
      flow_pairs: "consecutive", "key_to_support" or "support_to_key".
      flow_stride: crop pixels a cell of the flow.
      boxes: "ground_truth"; "detections", those given to `jmpose prepare`; or a detector's file. Evaluation only.
      box_threshold: least detector score that is kept.
      box_enlarge: the crop's size over the box's.
      complete_windows: leave out the clips that lack a neighbour. Training only: evaluation counts every clip.
      repeat: go on for ever; by default in training and not in evaluation.
      num_workers: processes that load; 0 loads in threads of this process.
      num_threads: threads of each process.
      process_index: number of this host's process.
      process_count: number of processes that share the batches.
      prefetch: batches kept ready.
      cache_mib: MiB of decoded frames that each process keeps. In training it pays only where it holds the whole split.
      damaged: what a damaged record does: "error" ends the run, naming file and offset; "skip" (training only) logs it
        and gives its clip with `valid` 0 and no joint weights, or, where it is a neighbour, without that frame.

    Returns:
      The loader.

    Raises:
      InputError: naming the setting or file at fault.
    """
    if skeleton not in SKELETONS:
        raise InputError(f"skeleton={skeleton!r} is not known; use one of {', '.join(SKELETONS)}")
    if delta < 0 or batch_size < 1 or min(input_size) < 1:
        raise InputError(f"delta={delta}, batch_size={batch_size}, input_size={input_size}: must be positive")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}: must be between 0 and {2**32 - 1}")
    if damaged not in ("error", "skip") or (damaged == "skip" and not train):
        raise InputError(f"damaged={damaged!r}: use error, or in training skip; evaluation counts every clip")
    check_flow(flow_source, flow_pairs, flow_stride, delta, input_size)
    folder = pathlib.Path(folder)
    table = ClipTable.load(folder, split)
    if str(boxes) != "ground_truth":
        if train:
            raise InputError("boxes: training needs boxes=ground_truth, detections have no keypoints")
        file = folder / f"boxes-{split}.json" if str(boxes) == "detections" else pathlib.Path(boxes)
        table = table.with_detections(read_detections(file, box_threshold), str(file))
    if not len(table):
        raise InputError(f"{folder}: split {split!r} has no clips; choose another split or give detector boxes")
    if complete_windows:
        if not train:
            raise InputError("complete_windows: evaluation takes every clip; use it in training only")
        _, offsets = table.windows(delta)
        whole = table.select(np.flatnonzero((offsets == np.arange(-delta, delta + 1)).all(axis=1)))
        if not len(whole):
            raise InputError(
                f"{folder}: dataset.complete_windows=True leaves out all {len(table)} clips of split {split!r}: none "
                f"has all its neighbours, dataset.delta={delta} on each side; set dataset.complete_windows=False or a "
                "smaller dataset.delta"
            )
        table = whole
    records = open_shards(folder, split, len(table.frames["frame_video"]))
    joints = SKELETONS[skeleton]
    size = (int(input_size[1]), int(input_size[0]))
    repeat = train if repeat is None else repeat
    global_batch = batch_size * process_count
    batches = len(table) // global_batch if train else -(-len(table) // global_batch)
    if train and repeat:
        batches = max(batches, 1)  # epochs run into each other, so that even a few clips fill a batch
    # Fixed-order passes are padded to whole batches; a shuffled one has no rows that are not clips.
    length = len(table) if train else batches * global_batch
    pairs = flow_pairs if flow_source == "exact" and delta else None
    source = ClipSource(table, records, delta, joints, length, pairs, damaged, cache_mib * 2**20)
    augmentation = Augmentation.from_mapping(augment) if train and augment is not None else None
    flow = crop_flow(flow_source if delta else "none", flow_pairs, flow_stride)
    transform = ToExample(size, joints, augmentation, flow, box_enlarge)
    dataset = grain.MapDataset.source(source).seed(seed)
    if train:
        dataset = dataset.shuffle()
    if repeat:
        dataset = dataset.repeat()
    dataset = dataset.random_map(transform) if augmentation else dataset.map(transform)
    settings = {
        "batch_size": batch_size,
        "batches": batches,
        "num_threads": num_threads,
        "num_workers": num_workers,
        "prefetch": prefetch,
        "process_count": process_count,
        "process_index": process_index,
        "seed": seed,
    }
    return Loader(dataset, table, records, settings)


def open_shards(folder: pathlib.Path, split: str, num_frames: int) -> Records:
    """The records of a split, checked against the number that its clip table counts.

    Raises:
      InputError: where shards are missing from the set, or were written by another version.
    """
    file_format, lengths = _description(folder, split)
    paths = sorted(folder.glob(f"{DATASET_NAME}-{split}.{file_format}-?????-of-?????"))
    expected = {path.name.rsplit("-", 1)[1] for path in paths}
    if len(expected) != 1 or int(next(iter(expected))) != len(paths):
        names = f"{DATASET_NAME}-{split}.{file_format}-*"
        if not paths:
            raise InputError(
                f"{folder}: the shards of split {split!r} are incomplete (0 found, no file {names}); "
                "prepare the data set again"
            )
        if len(expected) > 1:
            raise InputError(f"{folder}: the shards {names} are of several runs; prepare the data set again")
        raise InputError(
            f"{folder}: the shards of split {split!r} are incomplete ({len(paths)} found; missing: "
            f"{_absent(paths, next(iter(expected)))}); prepare the data set again"
        )
    records = TFRecordSource(paths) if file_format == "tfrecord" else ArrayRecordSource(paths, lengths)
    if len(records) != num_frames:
        raise InputError(
            f"{folder}: the shards of split {split!r} hold {len(records)} frames, its clip table counts {num_frames}; "
            "they are of different runs, prepare again"
        )
    return records


def _absent(paths: list[pathlib.Path], count: str) -> str:
    """The first shard of the set that is not there."""
    stem = paths[0].name.rsplit("-", 3)[0]
    there = {path.name for path in paths}
    names = (f"{stem}-{shard:05d}-of-{count}" for shard in range(int(count)))
    return next((name for name in names if name not in there), "none")


def _description(folder: pathlib.Path, split: str) -> tuple[str, list[int]]:
    """Form and lengths of the split's shards; InputError where they are not of this version's schema."""
    path = folder / "dataset_info.json"
    info = read_json(path)
    version = field(info, "version", str, str(path))
    if version != VERSION:
        raise InputError(
            f"{path}: its shards are of schema version {version}, this program reads {VERSION}; prepare again"
        )
    file_format = field(info, "fileFormat", str, str(path))
    if file_format not in FORMATS:
        raise InputError(f"{path}: fileFormat {file_format!r} cannot be read; use one of {', '.join(FORMATS)}")
    where = f"{path}: splits"
    for entry in field(info, "splits", list, str(path)):
        if field(entry, "name", str, where) == split:
            lengths = field(entry, "shardLengths", list, where)
            try:
                return file_format, [int(length) for length in lengths]
            except (TypeError, ValueError) as error:
                raise InputError(f"{where}: 'shardLengths' must be numbers; prepare the data set again") from error
    raise InputError(f"{path}: has no split {split!r}; prepare the data set again")

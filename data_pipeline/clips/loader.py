"""Batches of clips from a prepared folder, through Grain: shuffled, sharded over hosts, with a state of a few bytes."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping

import grain
import numpy as np
from absl import flags

from data_pipeline.clips.flow import crop_flow
from data_pipeline.clips.options import ClipOptions, FlowOptions, Reading, Share
from data_pipeline.clips.source import ClipSource, ToExample
from data_pipeline.clips.table import ClipTable
from data_pipeline.clips.transforms import Augmentation
from data_pipeline.formats.array_record import ArrayRecordSource
from data_pipeline.formats.schema import DATASET_NAME, VERSION
from data_pipeline.formats.shards import FORMATS
from data_pipeline.formats.tfrecord import TFRecordSource
from data_pipeline.sources.boxes import read_detections
from jmpose_jax.checks import field, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.records import ClipBatch
from jmpose_jax.stopping import SIGNALS, deaf_children

Records = TFRecordSource | ArrayRecordSource


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a loader was made for.

    Attributes:
      batch_size: clips a batch of this process.
      batches: batches an epoch.
      seed: of order and augmentation.
      flow_pairs: that the batches name.
      reading: as `make_loader` was told.
      share: as `make_loader` was told.
    """

    batch_size: int
    batches: int
    seed: int
    flow_pairs: str
    reading: Reading
    share: Share


class Loader(Iterator[ClipBatch]):
    """An iterator of `ClipBatch` with NumPy leaves, whose position can be saved and restored.

    Attributes:
      table: the clips; `batch.index` counts its rows.
      damaged_clips: clips given so far by this loader that had damaged records (`damaged="skip"`).
      damaged_reads: damaged records in them; each is logged once, by file and offset.
    """

    def __init__(self, dataset: grain.MapDataset, table: ClipTable, records: Records, plan: Plan):
        """Use `make_loader`."""
        self.table = table
        self.damaged_clips = self.damaged_reads = 0
        self._records = records
        self._plan = plan
        reading, share = plan.reading, plan.share
        if reading.num_workers and not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers inherit absl's flags and refuse to start without them
        workers = grain.MultiprocessingOptions(num_workers=reading.num_workers) if reading.num_workers else None
        self._iterator = iter(
            grain.experimental.ElasticIterator(
                dataset,
                plan.batch_size * share.count,
                grain.sharding.ShardOptions(share.index, share.count, drop_remainder=True),
                # Grain counts single examples here.
                read_options=grain.ReadOptions(
                    num_threads=reading.num_threads,
                    prefetch_buffer_size=max(reading.prefetch * plan.batch_size, 1),
                ),
                multiprocessing_options=workers,
            )
        )

    def __len__(self) -> int:
        """Batches an epoch: in training without the incomplete last one, in evaluation with it (padded)."""
        return self._plan.batches

    def __next__(self) -> ClipBatch:
        if self._plan.reading.num_workers:
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
        return ClipBatch(**arrays, flow_pairs=self._plan.flow_pairs)

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
        return {"seed": self._plan.seed, "clips": len(self.table)}

    def close(self) -> None:
        """Stop the threads and workers and close the shards."""
        self._iterator.close()
        self._records.close()


def make_loader(
    folder: str | pathlib.Path,
    split: str,
    clips: ClipOptions,
    batch_size: int,
    *,
    train: bool = False,
    seed: int = 0,
    repeat: bool | None = None,
    flow: FlowOptions = FlowOptions(),  # noqa: B008 (frozen)
    reading: Reading = Reading(),  # noqa: B008
    share: Share = Share(),  # noqa: B008
) -> Loader:
    """A loader of a split of a prepared folder.

    Training batches are shuffled anew each epoch and augmented; the same seed gives the same batches whatever the
    number of threads, workers or processes. Evaluation goes through the table once in its order; the last batch is
    padded by repetitions with `valid` 0.

    Args:
      folder: output of `jmpose prepare`.
      split: its split.
      clips: which clips, and how they are cropped.
      batch_size: clips a batch of this process.
      train: shuffle, and augment as `clips` says; else fixed order, plain crops.
      seed: of order and augmentation.
      repeat: go on for ever; by default in training and not in evaluation.
      flow: the optical flow that comes with a clip.
      reading: threads, processes, caches, and what a damaged record does.
      share: the part of every batch that this process loads.

    Returns:
      The loader.

    Raises:
      InputError: naming the setting or file at fault.
    """
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: must be positive")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}: must be between 0 and {2**32 - 1}")
    if reading.damaged == "skip" and not train:
        raise InputError("damaged='skip': use error; evaluation counts every clip")
    flow.check(clips)
    folder = pathlib.Path(folder)
    table = _chosen(ClipTable.load(folder, split), folder, split, clips, train)
    skeleton = table.find_skeleton(clips.skeleton)
    records = open_shards(folder, split, len(table.frames["frame_video"]))
    repeat = train if repeat is None else repeat
    global_batch = batch_size * share.count
    batches = len(table) // global_batch if train else -(-len(table) // global_batch)
    if train and repeat:
        batches = max(batches, 1)  # epochs run into each other, so that even a few clips fill a batch
    # Fixed-order passes are padded to whole batches; a shuffled one has no rows that are not clips.
    length = len(table) if train else batches * global_batch
    stored_pairs = flow.pairs if flow.source == "exact" and clips.delta else None
    cache = reading.cache_mib * 2**20
    source = ClipSource(table, records, clips.delta, skeleton, length, stored_pairs, reading.damaged, cache)
    augmentation = Augmentation.from_mapping(clips.augment) if train and clips.augment is not None else None
    with_flow = crop_flow(flow.source if clips.delta else "none", flow.pairs, flow.stride)
    height, width = (int(side) for side in clips.input_size)
    transform = ToExample((width, height), skeleton, augmentation, with_flow, clips.box_enlarge)
    dataset = grain.MapDataset.source(source).seed(seed)
    if train:
        dataset = dataset.shuffle()
    if repeat:
        dataset = dataset.repeat()
    dataset = dataset.random_map(transform) if augmentation else dataset.map(transform)
    plan = Plan(batch_size, batches, seed, flow.pairs, reading, share)
    return Loader(dataset, table, records, plan)


def _chosen(table: ClipTable, folder: pathlib.Path, split: str, clips: ClipOptions, train: bool) -> ClipTable:
    """The clips of a split that are loaded: of detections, or with all their neighbours, where that is asked for."""
    if str(clips.boxes) != "ground_truth":
        if train:
            raise InputError("boxes: training needs boxes=ground_truth, detections have no keypoints")
        file = folder / f"boxes-{split}.json" if str(clips.boxes) == "detections" else pathlib.Path(clips.boxes)
        table = table.with_detections(read_detections(file, clips.box_threshold), str(file))
    if not len(table):
        raise InputError(f"{folder}: split {split!r} has no clips; choose another split or give detector boxes")
    if not clips.complete_windows:
        return table
    if not train:
        raise InputError("complete_windows: evaluation takes every clip; use it in training only")
    _, offsets = table.windows(clips.delta)
    whole = table.select(np.flatnonzero((offsets == np.arange(-clips.delta, clips.delta + 1)).all(axis=1)))
    if not len(whole):
        raise InputError(
            f"{folder}: complete_windows=True leaves out all {len(table)} clips of split {split!r}: none has all its "
            f"neighbours, delta={clips.delta} on each side; set complete_windows=False or a smaller delta"
        )
    return whole


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

"""The shards of a split, written by one or several processes: the same bytes for any number, resumed when stopped."""

import dataclasses
import errno
import json
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from data_pipeline.clips import jpeg
from data_pipeline.formats import schema
from data_pipeline.formats.array_record import write_array_record
from data_pipeline.formats.tfrecord import write_shard
from data_pipeline.preparation import workers
from data_pipeline.preparation.plan import StoredFrame
from data_pipeline.preparation.staging import DONE_SUFFIX
from data_pipeline.sources.annotations import Frame
from data_pipeline.sources.flow_files import read_frame_flow
from jmpose_jax.errors import InputError

FORMATS = ("tfrecord", "array_record")


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """What one process needs to write one shard."""

    path: pathlib.Path
    frames: list[tuple[Frame, tuple[int, int], str, int]]  # with the image's size, the video's name and its frames
    flow: pathlib.Path | None
    file_format: str


def write_shards(
    folder: pathlib.Path,
    split: str,
    stored: list[StoredFrame],
    num_shards: int,
    flow: pathlib.Path | None,
    file_format: str = "tfrecord",
    num_processes: int = 1,
    progress: bool = True,
) -> tuple[list[int], int]:
    """Write the shards that are not there yet.

    The bounds of the shards depend on the numbers of records and shards alone.

    Args:
      folder: unfinished prepared folder; shards with a `.done` file are kept as they are.
      split: its name.
      stored: the frames, in the order of the records.
      num_shards: shards; fewer where there are fewer frames.
      flow: folder of the split's flow files; None for data sets without flow.
      file_format: one of `FORMATS`.
      num_processes: that write at the same time.
      progress: report on standard error.

    Returns:
      Records of each shard, and bytes of all records.

    Raises:
      OSError: where a source image or flow file cannot be read, or the disk is full; it names the file.
    """
    num_shards = min(num_shards, len(stored))
    bounds = np.linspace(0, len(stored), num_shards + 1).round().astype(int)
    tasks = []
    for shard, (start, stop) in enumerate(zip(bounds, bounds[1:])):
        path = folder / schema.shard_name(split, shard, num_shards, file_format)
        # Without the frames of the whole video, which would go to the other process with every frame of it.
        frames = [(item.frame, item.size, item.video.name, len(item.video.frames)) for item in stored[start:stop]]
        tasks.append(ShardTask(path, frames, flow, file_format))
    missing = [task for task in tasks if not _done(task.path).is_file()]
    total = sum(len(task.frames) for task in missing)
    description = f"writing {split}"
    if len(missing) < len(tasks):
        description += f" ({len(tasks) - len(missing)} of {len(tasks)} shards are there)"
    workers.run(write_one, missing, total, description, num_processes, progress)
    done = [json.loads(_done(task.path).read_text()) for task in tasks]
    return [records for records, _ in done], sum(num_bytes for _, num_bytes in done)


def write_one(task: ShardTask) -> None:
    """Write one shard, then the file that says so."""
    try:
        if task.file_format == "tfrecord":
            index = write_shard(task.path, _records(task))
            size = len(index), int(index[:, 1].sum())
        else:
            size = write_array_record(task.path, _records(task))
        temporary = _done(task.path).with_suffix(".tmp")
        temporary.write_text(json.dumps(size))
        os.replace(temporary, _done(task.path))
    except OSError as error:
        # Of another process it comes back without its cause. `staging.staged` says what is kept.
        name = str(error.filename or task.path)
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), name) from error


def _done(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + DONE_SUFFIX)


def _records(task: ShardTask) -> Iterator[bytes]:
    for frame, size, video, nframes in task.frames:
        arrays = None if task.flow is None else read_frame_flow(task.flow / video, frame.number)
        yield schema.encode_frame(frame, image_bytes(frame), size, video, nframes, arrays)
        workers.count()


def image_bytes(frame: Frame) -> bytes:
    """The JPEG to store: the file's bytes untouched, but for an image that its EXIF tag turns upright."""
    data = frame.path.read_bytes()
    if frame.turn == 1:
        return data
    try:
        return jpeg.turned(data, frame.turn)
    except ValueError as error:
        raise InputError(f"{frame.path}: {error}, so that it cannot be turned upright; remove the image") from error

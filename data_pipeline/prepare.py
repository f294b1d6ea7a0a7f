"""From a data set as it is published to the folder that training reads: shards, clip tables, summary."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_pipeline import posetrack, posetrack17, schema
from data_pipeline.annotations import Video, to_posetrack18
from data_pipeline.boxes import SCORE_THRESHOLD, Detection, read_detections
from data_pipeline.flow_files import flow_folder, read_frame_flow
from data_pipeline.plan import Report, StoredFrame, plan_split
from data_pipeline.progress import progress as report_progress
from data_pipeline.tfrecord import write_shard
from jmpose_jax.errors import InputError

READERS = {
    "posetrack17": posetrack17.read_split,
    "posetrack18": posetrack.read_split,
    "posetrack21": posetrack.read_split,
    "synthetic": posetrack.read_split,
}
DATASETS = tuple(READERS)
MAX_DELTA = 2
SUMMARY = "summary.json"


def prepare(
    dataset: str,
    source: str | os.PathLike | None,
    output: str | os.PathLike,
    splits: list[str] | None = None,
    boxes: str | os.PathLike | None = None,
    num_shards: int = 8,
    progress: bool = True,
    max_delta: int = MAX_DELTA,
    box_threshold: float = SCORE_THRESHOLD,
    flow: bool = False,
) -> dict[str, Any]:
    """Read a data set's annotations and frames and write the prepared folder.

    Everything is written to a temporary folder beside `output`, which gets its name at the end: a run that fails or is
    stopped leaves nothing under that name. An earlier prepared folder of the same name is replaced.

    Args:
      dataset: "posetrack17", "posetrack18", "posetrack21" or "synthetic".
      source: folder of the data set; None, for "synthetic" only, renders the embedded data set into `output`/source.
      output: folder to write.
      splits: which ones; None for all that the source has.
      boxes: detector file whose boxes are kept beside the annotated ones (`boxes="detections"` of the loader).
      num_shards: shards a split; fewer where a split has fewer frames.
      progress: report progress on standard error.
      max_delta: furthest neighbour that a clip may ask for; frames further from every labelled one are left out.
      box_threshold: least detector score that is kept.
      flow: render with the exact optical flow, for "synthetic" without a source.

    Returns:
      The summary, which is also written as summary.json: per split what was read, stored and skipped, and why.

    Raises:
      InputError: naming the file, key or flag at fault.
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset {dataset!r} is not known; use one of {', '.join(DATASETS)}")
    if num_shards < 1 or max_delta < 0:
        raise InputError(f"shards={num_shards}, max_delta={max_delta}: at least 1 shard and delta 0 are needed")
    if flow and (source is not None or dataset != "synthetic"):
        raise InputError("--flow is for --dataset synthetic without --source: flow beside a source is taken as it is")
    if source is None and dataset != "synthetic":
        raise InputError(f"--source is needed for {dataset}: the folder that holds its images and annotations")
    detections = read_detections(pathlib.Path(boxes), box_threshold) if boxes is not None else []
    with _staged(pathlib.Path(output)) as stage:
        if source is None:
            source = _render(stage / "source", flow, progress)
        summary = {"dataset": dataset, "boxes": str(boxes) if boxes else "ground_truth", "max_delta": max_delta}
        summary["splits"] = _write(
            dataset, pathlib.Path(source), stage, splits, detections, num_shards, progress, max_delta
        )
        (stage / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary


@contextlib.contextmanager
def _staged(output: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder that takes the name `output` when the block succeeds, and is removed when it fails."""
    if output.exists() and not (output / SUMMARY).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: exists and is not a prepared folder; choose another --output or remove it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        stage = pathlib.Path(tempfile.mkdtemp(prefix=f"{output.name}.tmp-", dir=output.parent))
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error
    try:
        stage.chmod(0o777 & ~_umask())
        yield stage
        if output.exists():
            old = stage.with_name(stage.name + "-old")
            os.replace(output, old)
            os.replace(stage, output)
            shutil.rmtree(old)
        else:
            os.replace(stage, output)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _render(folder: pathlib.Path, flow: bool, progress: bool) -> pathlib.Path:
    # Imported here: the renderer is needed by this one path only.
    from data_pipeline.synthetic.dataset import generate

    generate(str(folder), flow=flow, progress=progress)
    return folder


def _write(
    dataset: str,
    source: pathlib.Path,
    stage: pathlib.Path,
    splits: list[str] | None,
    detections: list[Detection],
    num_shards: int,
    progress: bool,
    max_delta: int,
) -> dict[str, Any]:
    found = posetrack.find_splits(source, dataset)
    unknown = [split for split in splits or () if split not in found]
    if unknown:
        raise InputError(f"--split {unknown[0]}: not in {source}, which has {', '.join(found)}")
    chosen = {split: files for split, files in found.items() if not splits or split in splits}
    # All annotations are read before anything is written, so that a fault in the last file costs no time.
    videos = {split: READERS[dataset](source, files, split) for split, files in chosen.items()}
    summary, shards, with_flow = {}, {}, any(flow_folder(source, split).is_dir() for split in chosen)
    for split in chosen:
        report = Report()
        stored, table = plan_split(videos[split], detections, max_delta, report, progress)
        flow = flow_folder(source, split) if with_flow else None
        shards[split] = _write_shards(stage, split, stored, num_shards, flow, progress)
        report.counts["bytes"] = shards[split][1]
        table.save(stage, split)
        _copy_annotations(videos[split], stage / "annotations" / split, verbatim=dataset != "posetrack17")
        if detections:
            _write_detections(stage / f"boxes-{split}.json", detections)
        summary[split] = report.to_dict()
    (stage / "features.json").write_text(schema.features_json(with_flow))
    description = f"Frames of {dataset} with 2-D poses of the people in them, one record a frame."
    (stage / "dataset_info.json").write_text(schema.dataset_info_json(shards, description))
    return summary


def _write_shards(
    stage: pathlib.Path,
    split: str,
    stored: list[StoredFrame],
    num_shards: int,
    flow: pathlib.Path | None,
    progress: bool,
) -> tuple[list[int], int]:
    num_shards = min(num_shards, len(stored))
    bounds = np.linspace(0, len(stored), num_shards + 1).round().astype(int)
    records = iter(report_progress(_records(stored, flow), len(stored), f"writing {split}", enabled=progress))
    lengths, num_bytes = [], 0
    for shard, (start, stop) in enumerate(zip(bounds, bounds[1:])):
        path = stage / schema.shard_name(split, shard, num_shards)
        index = write_shard(path, (next(records) for _ in range(stop - start)))
        lengths.append(len(index))
        num_bytes += int(index[:, 1].sum())
    next(records, None)  # lets the progress report end
    return lengths, num_bytes


def _records(stored: list[StoredFrame], flow: pathlib.Path | None) -> Iterator[bytes]:
    for item in stored:
        arrays = None if flow is None else read_frame_flow(flow / item.video.name, item.frame.number)
        yield schema.encode_frame(
            item.frame, item.frame.path.read_bytes(), item.size, item.video.name, len(item.video.frames), arrays
        )


def _copy_annotations(videos: list[Video], folder: pathlib.Path, verbatim: bool) -> None:
    """One file a video in PoseTrack18 form: the original where it has that form already."""
    folder.mkdir(parents=True)
    for video in videos:
        target = folder / f"{video.name}.json"
        if verbatim and video.annotation_file.name == target.name:
            shutil.copyfile(video.annotation_file, target)
        else:
            target.write_text(json.dumps(to_posetrack18(video)))


def _write_detections(path: pathlib.Path, detections: list[Detection]) -> None:
    entries = []
    for detection in detections:
        name = {"image_name": detection.image_name} if detection.image_name else {"image_id": detection.image_id}
        entries.append({**name, "bbox": detection.box.tolist(), "score": detection.score, "category_id": 1})
    path.write_text(json.dumps(entries))

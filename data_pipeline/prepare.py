"""From a data set as it is published to the folder that training reads: shards, clip tables, summary."""

import json
import os
import pathlib
import shutil
from typing import Any

from data_pipeline import schema
from data_pipeline.annotations import Video, to_posetrack18
from data_pipeline.boxes import SCORE_THRESHOLD, Detection, read_detections
from data_pipeline.datasets import DATASETS, find_splits, read_split, skeleton_of
from data_pipeline.flow_files import flow_folder
from data_pipeline.plan import Report, plan_split
from data_pipeline.progress import say
from data_pipeline.shards import FORMATS, write_shards
from data_pipeline.staging import DONE_SUFFIX, SUMMARY, fingerprint, staged
from jmpose_jax.errors import InputError

MAX_DELTA = 2


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
    file_format: str = "tfrecord",
    num_processes: int = 1,
    decoded: bool = True,
    flow: bool = False,
) -> dict[str, Any]:
    """Read a data set's annotations and frames and write the prepared folder.

    Everything is written to an unfinished folder beside `output`, which gets its name at the end. A fault of the input
    leaves nothing. A run that is stopped or finds the disk full leaves the unfinished folder; the same command goes on
    with the shards that lack. An earlier prepared folder of the same name is replaced. The bytes written depend on the
    source and the settings alone, not on the number of processes.

    Args:
      dataset: "posetrack17", "posetrack18", "posetrack21", "coco" or "synthetic".
      source: folder of the data set; None, for "synthetic" only, renders the embedded data set into `output`/source.
      output: folder to write.
      splits: which ones; None for all that the source has.
      boxes: detector file whose boxes are kept beside the annotated ones (`boxes="detections"` of the loader).
      num_shards: shards a split; fewer where a split has fewer frames.
      progress: report progress on standard error.
      max_delta: furthest neighbour that a clip may ask for; frames further from every labelled one are left out.
      box_threshold: least detector score that is kept.
      file_format: "tfrecord" or "array_record".
      num_processes: processes that inspect images and write shards.
      decoded: decode every image once, to find damage in its compressed data; False checks the markers alone.
      flow: render with the exact optical flow, for "synthetic" without a source.

    Returns:
      The summary, which is also written as summary.json: per split what was read, stored and skipped, and why.

    Raises:
      InputError: naming the file, key or flag at fault.
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset {dataset!r} is not known; use one of {', '.join(DATASETS)}")
    if num_shards < 1 or max_delta < 0 or num_processes < 1:
        raise InputError(
            f"shards={num_shards}, max_delta={max_delta}, processes={num_processes}: "
            "at least 1 shard, delta 0 and 1 process are needed"
        )
    if file_format not in FORMATS:
        raise InputError(f"format={file_format!r} is not known; use one of {', '.join(FORMATS)}")
    if flow and (source is not None or dataset != "synthetic"):
        raise InputError("--flow is for --dataset synthetic without --source: flow beside a source is taken as it is")
    if source is None and dataset != "synthetic":
        raise InputError(f"--source is needed for {dataset}: the folder that holds its images and annotations")
    detections = read_detections(pathlib.Path(boxes), box_threshold) if boxes is not None else []
    settings = {
        "dataset": dataset,
        "boxes": str(boxes) if boxes else "ground_truth",
        "max_delta": max_delta,
        "format": file_format,
    }
    with staged(pathlib.Path(output)) as stage:
        if source is None:
            source = _render(stage.folder / ("source_with_flow" if flow else "source"), flow, progress)
        source = pathlib.Path(source)
        found = find_splits(source, dataset, splits)
        say(f"reading {sum(map(len, found.values()))} annotation files …", progress)
        # All annotations are read before anything is written, so that a fault in the last file costs no time.
        videos = {split: read_split(dataset, source, files, split) for split, files in found.items()}
        with_flow = any(flow_folder(source, split).is_dir() for split in videos)
        plans = {}
        for split in videos:
            report = Report()
            plans[split] = (
                report,
                *plan_split(
                    videos[split], detections, max_delta, report, progress, decoded, num_processes, skeleton_of(dataset)
                ),
            )
        stage.resume(fingerprint(settings, num_shards, found, {split: plan[1] for split, plan in plans.items()}))
        summary = {**settings, "splits": {}}
        shards = {}
        for split, (report, stored, table) in plans.items():
            flow_source = flow_folder(source, split) if with_flow else None
            shards[split] = write_shards(
                stage.folder, split, stored, num_shards, flow_source, file_format, num_processes, progress
            )
            report.counts["bytes"] = shards[split][1]
            table.save(stage.folder, split)
            _copy_annotations(videos[split], stage.folder / "annotations" / split, dataset)
            if detections:
                _write_detections(stage.folder / f"boxes-{split}.json", detections)
            summary["splits"][split] = report.to_dict()
        (stage.folder / "features.json").write_text(schema.features_json(with_flow))
        description = f"Frames of {dataset} with 2-D poses of the people in them, one record a frame."
        (stage.folder / "dataset_info.json").write_text(schema.dataset_info_json(shards, description, file_format))
        for path in stage.folder.glob(f"*{DONE_SUFFIX}"):
            path.unlink()
        (stage.folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _render(folder: pathlib.Path, flow: bool, progress: bool) -> pathlib.Path:
    # Imported here: the renderer is needed by this one path only.
    from data_pipeline.synthetic.dataset import generate

    if not folder.is_dir():  # else a run that was stopped had rendered it
        temporary = folder.with_name("source.unfinished")
        shutil.rmtree(temporary, ignore_errors=True)
        generate(str(temporary), flow=flow, progress=progress)
        os.replace(temporary, folder)
    return folder


def _copy_annotations(videos: list[Video], folder: pathlib.Path, dataset: str) -> None:
    """One file a video in PoseTrack18 form: the original where it has that form already. COCO's file as it is."""
    folder.mkdir(parents=True)
    for video in videos:
        target = folder / f"{video.name}.json"
        if dataset != "posetrack17" and video.annotation_file.name == target.name:
            shutil.copyfile(video.annotation_file, target)
        else:
            target.write_text(json.dumps(to_posetrack18(video)))


def _write_detections(path: pathlib.Path, detections: list[Detection]) -> None:
    entries = []
    for detection in detections:
        name = {"image_name": detection.image_name} if detection.image_name else {"image_id": detection.image_id}
        entries.append({**name, "bbox": detection.box.tolist(), "score": detection.score, "category_id": 1})
    path.write_text(json.dumps(entries))

"""From a data set as it is published to the folder that training reads: shards, clip tables, summary."""

import dataclasses
import json
import os
import pathlib
import shutil
from typing import Any

from data_pipeline.formats import schema
from data_pipeline.formats.shards import FORMATS, write_shards
from data_pipeline.preparation.fitting import ORIENTATION, SIZE_MISMATCH
from data_pipeline.preparation.plan import PlanOptions, Report, StoredFrame, plan_split
from data_pipeline.preparation.staging import DONE_SUFFIX, SUMMARY, fingerprint, staged
from data_pipeline.sources.annotations import Video, to_posetrack18
from data_pipeline.sources.boxes import SCORE_THRESHOLD, Detection, read_detections
from data_pipeline.sources.coco import to_coco
from data_pipeline.sources.datasets import DATASETS, find_splits, read_split, skeleton_of
from data_pipeline.sources.flow_files import flow_folder
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_inputs_kept, write_json
from jmpose_jax.progress import say

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
    size_mismatch: str = "refuse",
    orientation: str = "auto",
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
      size_mismatch: what becomes of annotations of another size than the image's: "refuse", "scale", "ignore".
      orientation: the pixels that annotations of an image with an EXIF orientation mean: "stored", "upright", or
        "auto", those of the annotated size. See `fitting.fit`.

    Returns:
      The summary, which is also written as summary.json: per split what was read, stored and skipped, and why.

    Raises:
      InputError: naming the file, key or flag at fault.
      NoSpace: the disk is full.
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
    for name, value, known in (
        ("size_mismatch", size_mismatch, SIZE_MISMATCH),
        ("orientation", orientation, ORIENTATION),
    ):
        if value not in known:
            raise InputError(f"--{name}={value} is not known; use one of {', '.join(known)}")
    output = _place(pathlib.Path(output), [path for path in (source, boxes) if path is not None])
    detections = read_detections(pathlib.Path(boxes), box_threshold) if boxes is not None else []
    settings = {
        "dataset": dataset,
        "boxes": str(boxes) if boxes else "ground_truth",
        "max_delta": max_delta,
        "format": file_format,
        "size_mismatch": size_mismatch,
        "orientation": orientation,
    }
    with staged(output) as stage:
        if source is None:
            source = _render(stage.folder / ("source_with_flow" if flow else "source"), flow, progress)
        source = pathlib.Path(source)
        found = find_splits(source, dataset, splits)
        say(f"reading {sum(map(len, found.values()))} annotation files …", progress)
        # All annotations are read before anything is written, so that a fault in the last file costs no time.
        videos = {split: read_split(dataset, source, files, split) for split, files in found.items()}
        with_flow = any(flow_folder(source, split).is_dir() for split in videos)
        options = PlanOptions(
            max_delta,
            skeleton_of(dataset),
            decoded,
            size_mismatch=size_mismatch,
            orientation=orientation,
            num_processes=num_processes,
            show_progress=progress,
        )
        plans = {}
        for split in videos:
            report = Report()
            plans[split] = (
                report,
                *plan_split(videos[split], detections, report, options),
            )
        if boxes is not None and not any(report.counts["detections"] for report, *_ in plans.values()):
            raise InputError(
                f"{boxes}: none of its {len(detections)} usable boxes is on a frame of the data set; check that it "
                "belongs to it and to --split, and --box_threshold"
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
            _write_annotations(videos[split], stored, stage.folder / "annotations" / split, dataset)
            if detections:
                _write_detections(stage.folder / f"boxes-{split}.json", detections)
            summary["splits"][split] = report.to_dict()
        (stage.folder / schema.FEATURES_FILE).write_text(schema.features_json(with_flow, skeleton_of(dataset)))
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


def _place(output: pathlib.Path, inputs: list[str | os.PathLike]) -> pathlib.Path:
    """Where the prepared folder goes; InputError where that would replace what is read."""
    if output.is_symlink():
        output = output.resolve()  # what it leads to is replaced, not the link
    check_inputs_kept(inputs, [output])
    return output


def _write_annotations(videos: list[Video], stored: list[StoredFrame], folder: pathlib.Path, dataset: str) -> None:
    """One file a video in PoseTrack18 form, for COCO one in COCO's: the original where nothing is to be changed."""
    folder.mkdir(parents=True)
    fitted = {(item.video.name, item.frame.image_id): item.frame for item in stored}
    for video in videos:
        target = folder / f"{video.name}.json"
        frames = tuple(fitted.get((video.name, frame.image_id), frame) for frame in video.frames)
        scaled = any(new.stated_size != old.stated_size for new, old in zip(frames, video.frames))
        changed = scaled or video.oddities or dataset == "posetrack17" or video.annotation_file.name != target.name
        if not changed and not _holds_nan(video.annotation_file):
            shutil.copyfile(video.annotation_file, target)
            continue
        video = dataclasses.replace(video, frames=frames)
        write_json(target, to_coco(video) if dataset == "coco" else to_posetrack18(video), indent=None)


def _holds_nan(path: pathlib.Path) -> bool:
    """Whether a file may hold, in a place that is not read, what is no JSON."""
    content = path.read_bytes()
    return b"NaN" in content or b"Infinity" in content


def _write_detections(path: pathlib.Path, detections: list[Detection]) -> None:
    entries = []
    for detection in detections:
        name = {"image_name": detection.image_name} if detection.image_name else {"image_id": detection.image_id}
        entries.append({**name, "bbox": detection.box.tolist(), "score": detection.score, "category_id": 1})
    write_json(path, entries, indent=None)

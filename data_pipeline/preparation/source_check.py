"""`jmpose prepare --check`: every defect of a source folder, and what training and evaluation do about it."""

import collections
import dataclasses
import pathlib

import numpy as np

from data_pipeline.clips import jpeg
from data_pipeline.preparation import fitting
from data_pipeline.preparation.plan import MAX_EXAMPLES, PlanOptions, Report, StoredFrame, plan_split
from data_pipeline.sources import boxes as box_files
from data_pipeline.sources.annotations import Frame, Video
from data_pipeline.sources.datasets import find_splits, read_split, skeleton_of
from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.entries import head_size
from jmpose_jax.progress import say

STOPS = "preparation stops here"
# What is done about a defect, by the beginning of its name. The first that fits counts.
CONSEQUENCES = {
    "annotation file": f"{STOPS}: correct the file, or move it out of the folder",
    "box file": f"{STOPS}: correct the file, or prepare without --boxes",
    "split": f"{STOPS}: leave the split out with --split, or give detections with --boxes",
    "frame with annotated people missing on disk": f"{STOPS}: add the image, or leave the split out with --split",
    "frame missing on disk": "clips repeat the key frame or the nearest neighbour in its place",
    fitting.OTHER_SIZE: f"{STOPS}: correct the sizes, or prepare with --size_mismatch=scale or ignore",
    fitting.UNSETTLED: f"{STOPS}: say with --orientation=stored or upright which pixels the annotations mean",
    "EXIF orientation: frame turned upright": "the image is encoded anew, upright, as its annotations mean it",
    "EXIF orientation: frame taken as stored": "its tag is not applied: the annotations mean the pixels as they are",
    "size: annotations scaled": "joints, boxes and regions are stored in the pixels of the image",
    "size: difference": "joints may lie beside the people: you asked to ignore it",
    "file that begins with a byte-order mark": "read without it; the prepared folder gets the file without it",
    "file whose joints stand in another order": "joints go by their names; the prepared folder has the usual order",
    "file with frame_id": "read; the prepared folder gets the usual name",
    "file with head_box": "read; the prepared folder gets the usual name",
    "file with a polygon": "read; the prepared folder gets the usual form",
    "frame": "left out; its people are not trained on, and clips that need it repeat another frame",
    "person in a frame that is not labelled": "left out of training; evaluate counts its joints as missed",
    "person without annotated joints": "left out of training; the official evaluator drops them too",
    "person's box is empty": "left out of training; evaluation from annotated boxes does not estimate them",
    "person's box leaves the image": "clipped to the image",
    "person without a head box": "trained on; PoseTrack AP needs the head box: evaluate refuses the video's file",
    "joint outside the image": "kept, weight 0 where the crop does not reach it; the evaluator counts it",
    "two people with one track_id": "trained on; evaluate refuses the video's file",
    "clip with a missing neighbour": "kept with repeated frames; dataset.complete_windows leaves it out of training",
    "no person to estimate": "prepared; train and evaluate refuse the split",
    "number of frames differs": "the frames that are listed count",
    "ignore region of fewer than three points": "ignored",
    "detection on no listed frame": "left out",
}


@dataclasses.dataclass
class Findings:
    """Counts and first examples of the defects of a source folder, by split.

    Attributes:
      defects: split -> name of the defect -> how often.
      examples: split -> name -> the first places.
      counts: split -> what was read.
    """

    defects: dict[str, collections.Counter] = dataclasses.field(default_factory=dict)
    examples: dict[str, dict[str, list[str]]] = dataclasses.field(default_factory=dict)
    counts: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)

    def add(self, split: str, defect: str, example: str, number: int = 1) -> None:
        self.defects.setdefault(split, collections.Counter())[defect] += number
        places = self.examples.setdefault(split, {}).setdefault(defect, [])
        if len(places) < MAX_EXAMPLES:
            places.append(example)

    @property
    def fatal(self) -> int:
        """Defects that stop the preparation."""
        return sum(
            number
            for defects in self.defects.values()
            for name, number in defects.items()
            if consequence(name).startswith(STOPS)
        )

    def describe(self, examples: int = 3) -> str:
        """A text for a reader: what was read, then each defect with what is done about it and its first examples."""
        lines = []
        for split in self.counts:
            counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in self.counts[split].items())
            lines.append(f"{split}: {counts or 'nothing could be read'}")
            for name, number in self.defects.get(split, {}).items():
                lines.append(f"{split}: {number} × {name}: {consequence(name)}")
                lines += [f"    {place}" for place in self.examples[split][name][:examples]]
            if not self.defects.get(split):
                lines.append(f"{split}: no defect found")
        return "\n".join(lines)


def consequence(defect: str) -> str:
    """What training does about a defect."""
    return next(text for start, text in CONSEQUENCES.items() if defect.startswith(start))


def check(
    dataset: str,
    source: pathlib.Path,
    splits: list[str] | None = None,
    boxes: pathlib.Path | None = None,
    box_threshold: float = box_files.SCORE_THRESHOLD,
    max_delta: int = 2,
    decoded: bool = True,
    num_processes: int = 1,
    progress: bool = True,
    size_mismatch: str = "refuse",
    orientation: str = "auto",
) -> Findings:
    """Read a source folder as `prepare` would, writing nothing and going on after a fault.

    In an annotation file that cannot be read, the first fault is named: what follows it cannot be trusted.

    Args:
      dataset, source, splits, boxes, box_threshold, max_delta, decoded, num_processes, progress, size_mismatch,
        orientation: as for `prepare`.

    Raises:
      InputError: where the folder holds no annotations of that data set at all.
    """
    findings = Findings()
    detections: list[box_files.Detection] = []
    if boxes is not None:
        try:
            detections = box_files.read_detections(boxes, box_threshold)
        except InputError as error:
            findings.counts["boxes"] = {}
            findings.add("boxes", "box file that cannot be read", str(error))
    matched = 0
    for split, files in find_splits(source, dataset, splits).items():
        say(f"{split}: reading {len(files)} annotation files …", progress)
        videos = _readable(dataset, source, split, files, findings)
        report = Report()
        stored: list[StoredFrame] = []
        if videos:
            options = PlanOptions(
                max_delta,
                skeleton_of(dataset),
                decoded,
                strict=False,
                size_mismatch=size_mismatch,
                orientation=orientation,
                num_processes=num_processes,
                show_progress=progress,
            )
            stored, table = plan_split(videos, detections, report, options)
            _, offsets = table.windows(max_delta)
            broken = np.flatnonzero((offsets != np.arange(-max_delta, max_delta + 1)).any(axis=1))
            for row in broken if dataset != "coco" else ():
                name = str(table.frames["frame_file_name"][table.clips["key_record"][row]])
                findings.add(
                    split, "clip with a missing neighbour", f"{name} person {table.clips['person_index'][row]}"
                )
        matched += report.counts["detections"]
        findings.counts[split] = {name: int(n) for name, n in report.counts.items() if name != "boxes_clipped"}
        for reason, number in (report.skipped + report.noted).items():
            for place in report.examples[reason]:
                findings.add(split, reason, place)
            findings.defects[split][reason] += number - len(report.examples[reason])
        if report.counts["detections_on_no_listed_frame"]:
            number = report.counts["detections_on_no_listed_frame"]
            findings.add(split, "detection on no listed frame", str(boxes), number)
        fitted = {(item.video.name, item.frame.image_id): item for item in stored}
        for video in videos:
            _video(split, video, fitted, findings, head_boxes=dataset != "coco")
        if not report.counts["frames_stored"]:
            folder = files[0].parent
            findings.add(split, "split without a labelled frame with people and a readable image", str(folder))
        elif not report.counts["clips"] and not report.counts["detections"]:
            findings.add(split, "no person to estimate in the split", str(files[0].parent))
    if boxes is not None and "boxes" not in findings.counts and not matched:
        findings.counts["boxes"] = {"usable_boxes": len(detections)}
        findings.add("boxes", "box file without a box on a listed frame", str(boxes))
    return findings


def _readable(
    dataset: str, source: pathlib.Path, split: str, files: list[pathlib.Path], findings: Findings
) -> list[Video]:
    """The videos of the files that can be read; faults between files are looked for after those within them."""
    videos, good = [], []
    for path in files:
        try:
            videos += read_split(dataset, source, [path], split)
            good.append(path)
        except InputError as error:
            findings.add(split, "annotation file that cannot be read", str(error))
    try:
        return read_split(dataset, source, good, split) if good else []
    except InputError as error:
        findings.add(split, "annotation file that contradicts another", str(error))
        unique = {video.name: video for video in videos}
        return [unique[name] for name in sorted(unique)]


def _video(
    split: str, video: Video, fitted: dict[tuple[str, int], StoredFrame], findings: Findings, head_boxes: bool
) -> None:
    listed = video.frames[0].extras.get("nframes")
    if isinstance(listed, int) and listed != len(video.frames):
        place = f"{video.annotation_file}: nframes {listed}, {len(video.frames)} images"
        findings.add(split, "number of frames differs from nframes", place)
    for frame in video.frames:
        for region in frame.ignore_regions:
            if len(region) < 3:
                findings.add(split, "ignore region of fewer than three points", frame.file_name)
        tracks = [person.track_id for person in frame.persons if person.track_id >= 0]
        if len(set(tracks)) < len(tracks):
            findings.add(split, "two people with one track_id in a frame", frame.file_name)
        item = fitted.get((video.name, frame.image_id))
        if item is not None:
            _people(split, item.frame, item.size, findings, head_boxes)
        elif frame.persons:
            _people(split, frame, _size(frame), findings, head_boxes)


def _people(split: str, frame: Frame, size: tuple[int, int] | None, findings: Findings, head_boxes: bool) -> None:
    for index, person in enumerate(frame.persons):
        place = f"{frame.file_name} person {index}"
        # As the evaluator judges it: a joint counts where any of its three numbers is not 0.
        if head_boxes and person.keypoints.any() and np.isnan(head_size(person.head_box)):
            findings.add(split, "person without a head box", place)
        if size is None or not person.annotated.any():
            continue
        box = box_files.clip_box(person.box, size[1], size[0])
        if box is not None and not np.allclose(box, person.box, atol=1e-3):
            findings.add(split, "person's box leaves the image", place)
        points = person.keypoints[person.annotated, :2]
        outside = int(((points < 0) | (points > np.asarray(size[::-1]) - 1)).any(axis=1).sum())
        if outside:
            findings.add(split, "joint outside the image", place, outside)


def _size(frame: Frame) -> tuple[int, int] | None:
    try:
        return jpeg.inspect(frame.path)[0]
    except OSError:
        return None

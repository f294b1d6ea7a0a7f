"""What of a split goes into the shards: which frames, which clips, and why the rest is left out."""

import collections
import dataclasses
import pathlib
from typing import Any

import numpy as np

from data_pipeline.clips import jpeg
from data_pipeline.clips.table import ClipTable
from data_pipeline.preparation import fitting, workers
from data_pipeline.sources.annotations import Frame, Person, Video
from data_pipeline.sources.boxes import Detection, clip_box, match_detections, other_size
from data_pipeline.sources.posetrack import PERSON_EXTRAS
from jmpose_jax.errors import InputError
from jmpose_jax.progress import say
from jmpose_jax.skeletons import POSETRACK17, Skeleton

MAX_EXAMPLES = 20  # of each reason, in the summary
CHUNK = 64  # images that a process inspects at a time
MISSING = "missing on disk"
ADVICE = {
    fitting.OTHER_SIZE: (
        "correct the sizes, or give --size_mismatch=scale where the joints are of that size, "
        "--size_mismatch=ignore where they are of the file's"
    ),
    fitting.UNSETTLED: (
        "--orientation=stored takes the annotations for the pixels as the file holds them, --orientation=upright for "
        "those that its tag turns"
    ),
}


@dataclasses.dataclass
class Report:
    """Counts of what was read, kept and skipped in a split, with the first examples of what was skipped."""

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    skipped: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    noted: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # kept, and worth knowing
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def skip(self, reason: str, example: str) -> None:
        self._count(self.skipped, reason, example)

    def note(self, finding: str, example: str) -> None:
        self._count(self.noted, finding, example)

    def _count(self, counter: collections.Counter, reason: str, example: str) -> None:
        counter[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(example)

    def to_dict(self) -> dict[str, Any]:
        examples = {
            name: {reason: self.examples[reason] for reason in counter}
            for name, counter in (("skipped", self.skipped), ("noted", self.noted))
        }
        return {
            **self.counts,
            "skipped": dict(self.skipped),
            "skipped_examples": examples["skipped"],
            "noted": dict(self.noted),
            "noted_examples": examples["noted"],
        }


@dataclasses.dataclass(frozen=True)
class StoredFrame:
    """A frame that becomes a record: the video it is of, and the (height, width) of its pixels as they are stored."""

    video: Video
    frame: Frame
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """How frames are chosen and looked at.

    Attributes:
      max_delta: frames further than this from every key frame are left out.
      skeleton: of the stored joints.
      decoded: decode every image that is to be stored, to find damage in its compressed data.
      strict: False reports what otherwise is an error.
      size_mismatch: what becomes of annotations of another size than the image's, see `fitting.fit`.
      orientation: what an image's EXIF orientation means for its annotations, see `fitting.fit`.
      num_processes: that inspect the images.
      show_progress: report progress on standard error.
    """

    max_delta: int
    skeleton: Skeleton = POSETRACK17
    decoded: bool = True
    strict: bool = True
    size_mismatch: str = "refuse"
    orientation: str = "auto"
    num_processes: int = 1
    show_progress: bool = True


def plan_split(
    videos: list[Video], detections: list[Detection], report: Report, options: PlanOptions
) -> tuple[list[StoredFrame], ClipTable]:
    """Choose the records of a split and build its clip table.

    Args:
      videos: of the split, in the order of their names.
      detections: of a detector file, or empty; labelled frames that carry one are stored even without annotated people.
      report: filled with counts and reasons.
      options: how.

    Returns:
      The stored frames by video and time, and the table.

    Raises:
      InputError: where a frame with annotated people is missing on disk, annotations and image differ, or nothing is
        left.
    """
    say(
        f"planning {sum(len(video.frames) for video in videos)} frames of {len(videos)} videos …", options.show_progress
    )
    detected = _detected_frames(videos, detections, report)
    candidates: list[tuple[Video, Frame]] = []
    for video in videos:
        report.counts["videos"] += 1
        for oddity in video.oddities:
            report.note(oddity, str(video.annotation_file))
        report.counts["frames_listed"] += len(video.frames)
        report.counts["frames_labeled"] += sum(frame.is_labeled for frame in video.frames)
        keys = [f.number for f in video.frames if f.is_labeled and (f.persons or f.image_id in detected)]
        needed = {number + d for number in keys for d in range(-options.max_delta, options.max_delta + 1)}
        report.counts["frames_not_needed"] += sum(frame.number not in needed for frame in video.frames)
        candidates += [(video, frame) for frame in video.frames if frame.number in needed]
    stored = _checked(candidates, report, options)
    _check_detected_sizes(stored, detections, report, options.strict)
    report.counts["frames_stored"] = len(stored)
    table = _table(stored, report, options.skeleton)
    report.counts["clips"] = len(table)
    if not stored and options.strict:
        raise InputError(
            f"{videos[0].annotation_file.parent}: no labelled frame with people and a readable image; "
            "leave the split out with --split, or give detections with --boxes"
        )
    return stored, table


def _detected_frames(videos: list[Video], detections: list[Detection], report: Report) -> set[int]:
    frames = [frame for video in videos for frame in video.frames]
    matched, unmatched = match_detections(
        detections, [frame.file_name for frame in frames], [frame.image_id for frame in frames]
    )
    if detections:
        report.counts["detections"] = len(matched)
        report.counts["detections_on_no_listed_frame"] = unmatched
    return {frames[i].image_id for i, _ in matched}


def _check_detected_sizes(stored: list[StoredFrame], detections: list[Detection], report: Report, strict: bool) -> None:
    frames = [item.frame for item in stored]
    matched, _ = match_detections(
        detections, [frame.file_name for frame in frames], [frame.image_id for frame in frames]
    )
    fault = other_size(matched, [item.size for item in stored])
    if fault and strict:
        raise InputError(f"--boxes: {fault}")
    if fault:
        report.skip("box file of other image sizes", fault)


def _checked(candidates: list[tuple[Video, Frame]], report: Report, options: PlanOptions) -> list[StoredFrame]:
    """Those whose image is there and whole, with annotations of its pixels."""
    paths = [frame.path for _, frame in candidates]
    parts = [(paths[start : start + CHUNK], options.decoded) for start in range(0, len(paths), CHUNK)]
    workers_of = options.num_processes, options.show_progress
    found = workers.run(inspect_files, parts, len(paths), "checking frames", *workers_of)
    stored = []
    results = (result for part in found for result in part)
    for (video, frame), (size, fault, orientation) in zip(candidates, results):
        if size is not None:
            fitted = fitting.fit(frame, size, orientation, options.size_mismatch, options.orientation)
            _tell(video, fitted, report, options.strict)
            stored.append(StoredFrame(video, fitted.frame, fitted.size))
            continue
        people = len(frame.persons) if frame.is_labeled else 0
        if fault != MISSING:
            report.skip(f"frame {fault}", str(frame.path))
            if people:
                report.counts["people_in_unreadable_frames"] += people
        elif not people:
            report.skip("frame missing on disk (no people annotated)", str(frame.path))
        elif options.strict:
            raise InputError(
                f"{video.annotation_file}: names {frame.file_name}, but {frame.path} does not exist; "
                "add the image, or choose the splits that have theirs with --split"
            )
        else:
            report.skip("frame with annotated people missing on disk", str(frame.path))
    return stored


def _tell(video: Video, fitted: fitting.Fitted, report: Report, strict: bool) -> None:
    """Count what was done to bring annotations and pixels together; raise or count what does not fit."""
    place = f"{fitted.frame.path}: {fitted.facts}"
    for note in fitted.notes:
        report.note(note, place)
    if fitted.fault and strict:
        raise InputError(f"{video.annotation_file}: {place}; {ADVICE[fitted.fault]}")
    if fitted.fault:
        report.skip(fitted.fault, place)


def inspect_files(part: tuple[list[pathlib.Path], bool]) -> list[tuple[tuple[int, int] | None, str, int]]:
    """What `jpeg.inspect` says of some files, whether they exist or not, and their EXIF orientation."""
    paths, decoded = part
    results = []
    for path in paths:
        try:
            if path.is_file():
                with open(path, "rb") as file:
                    orientation = jpeg.orientation_of(file.read(jpeg.HEAD_BYTES))
                results.append((*jpeg.inspect(path, decoded), orientation))
            else:
                results.append((None, MISSING, 1))
        except OSError as error:
            results.append((None, f"cannot be read ({error.strerror})", 1))
        workers.count()
    return results


def _table(stored: list[StoredFrame], report: Report, skeleton: Skeleton) -> ClipTable:
    videos = list(dict.fromkeys(item.video.name for item in stored))
    number = {name: i for i, name in enumerate(videos)}
    frames = {
        "frame_video": np.asarray([number[s.video.name] for s in stored], np.int32),
        "frame_number": np.asarray([s.frame.number for s in stored], np.int64),
        "frame_image_id": np.asarray([s.frame.image_id for s in stored], np.int64),
        "frame_file_name": np.asarray([s.frame.file_name for s in stored], str),
        "frame_is_labeled": np.asarray([s.frame.is_labeled for s in stored], bool),
        "frame_size": np.asarray([s.size for s in stored], np.int32).reshape(-1, 2),
    }
    rows: list[tuple[int, int, np.ndarray]] = []  # record, person index, clipped box
    for record, item in enumerate(stored):
        for index, person in enumerate(item.frame.persons):
            report.counts["persons"] += 1
            place = f"{item.frame.file_name} person {index}"
            box = clip_box(person.box.astype(np.float32), item.size[1], item.size[0])
            if not item.frame.is_labeled:
                report.skip("person in a frame that is not labelled", place)
            elif not person.annotated.any():
                report.skip("person without annotated joints", place)
            elif box is None:
                report.skip("person's box is empty or outside the image", place)
            else:
                report.counts["boxes_clipped"] += not np.allclose(box, person.box, atol=1e-3)
                rows.append((record, index, box))
    people = [stored[record].frame.persons[index] for record, index, _ in rows]
    records = np.asarray([record for record, _, _ in rows], np.int64)
    keypoints = _stack([p.keypoints for p in people], (skeleton.num_joints, 3))
    annotated = _stack([p.annotated for p in people], (skeleton.num_joints,)).astype(bool)
    clips = {
        "key_record": records,
        "person_index": np.asarray([index for _, index, _ in rows], np.int32),
        "box": _stack([box for _, _, box in rows], (4,)),
        "box_score": np.ones(len(rows), np.float32),
        "head_box": _stack([p.head_box for p in people], (4,)),
        "keypoints": np.where(annotated[..., None], keypoints[..., :2], 0).astype(np.float32),
        "annotated": annotated,
        "visibility": keypoints[..., 2],
        "track_id": np.asarray([p.track_id for p in people], np.int64),
        "image_id": frames["frame_image_id"][records],
        "video": frames["frame_video"][records],
    }
    return ClipTable(clips | _analysis_columns(stored, rows, people), frames, tuple(videos), skeleton)


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(arrays).astype(np.float32) if arrays else np.zeros((0, *shape), np.float32)


def _analysis_columns(stored: list[StoredFrame], rows: list[Any], people: list[Person]) -> dict[str, np.ndarray]:
    """Columns for the extras that every clip of the split carries, on the person, its frame or its video."""
    columns = {}
    for name in PERSON_EXTRAS:
        values = []
        for (record, _, _), person in zip(rows, people):
            owners = (person.extras, stored[record].frame.extras, stored[record].video.extras)
            values.append(next((extras[name] for extras in owners if name in extras), None))
        if not values or any(value is None for value in values):
            continue
        try:
            column = np.asarray(values)
        except ValueError:  # lists of different lengths
            column = np.asarray([], object)
        if column.dtype.kind not in "biufU":
            file = stored[rows[0][0]].video.annotation_file.parent
            raise InputError(f"{file}: {name!r} is not of one shape and type over the people; correct or remove it")
        columns[name] = column
    return columns

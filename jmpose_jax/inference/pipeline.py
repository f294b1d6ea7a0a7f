"""From a video file to poses: boxes, crops, model, identities, overlay video, result files and page, in one pass.

Frames stream through: what is held is the window, the frames whose persons wait for a batch to fill, and a few that are
read ahead or wait to be drawn. A longer video needs no more memory but for the poses themselves.

One thread reads and decodes, one draws, encodes and writes, and the caller's does all between; each takes the frames in
their order, so that the results are the same whichever is slow.
"""

import contextlib
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from jmpose_jax import files
from jmpose_jax.boxes.images import frame_images
from jmpose_jax.errors import InputError
from jmpose_jax.inference.between import Between
from jmpose_jax.inference.detectors import BoxTable, Detections, Detector
from jmpose_jax.inference.distinct import distinct_poses
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.outputs.collector import Collector
from jmpose_jax.inference.outputs.finite import check_finite
from jmpose_jax.inference.outputs.formats import write_files
from jmpose_jax.inference.outputs.video_page import PAGE, write_page
from jmpose_jax.inference.overlap import Behind, ahead
from jmpose_jax.inference.overlay import DEFAULT_PARTS, DRAW_THRESHOLD, Overlay
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.redraw import draw_again, label_lost
from jmpose_jax.inference.sources.pictures import PictureWriter
from jmpose_jax.inference.sources.source import Source
from jmpose_jax.inference.sparse import detected
from jmpose_jax.inference.tracking.short_tracks import lasting_people
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions
from jmpose_jax.inference.tracking.weak_boxes import WeakBoxes
from jmpose_jax.inference.video.reader import Frame, VideoReader, VideoWriter
from jmpose_jax.inference.windows import Window, windows
from jmpose_jax.metrics.keypoints import joint_sigmas
from jmpose_jax.records import Predictions

OVERLAY = "overlay.mp4"

# Frames without persons do not fill a batch; so many may wait before the batch is run as it is.
MAX_WAITING_FRAMES = 16
READ_AHEAD = 4  # frames that are decoded and wait
HELD_BYTES = 128 << 20  # of frames that wait to be drawn, or two frames


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `predict_video` did.

    Attributes:
      frames, persons, tracks: how many there are in the results.
      lost: numbers of the frames that the damaged file holds no picture of; they have no poses.
      damaged: of those that were decoded with faults.
      rescaled: of those of another size than the first, with the (width, height) of each in the file.
      missing: how many frames the file announces or should hold, and that have no place in the results.
      surplus: how many more frames a damaged file gave than it announces or should hold.
      unsure: of a file with missing ones, the first frame whose number may be too low; None where that is not known.
      jumps: (frame, pictures) where time stamps leave out whole pictures before a frame, and nothing tells why.
      complete: whether all that was asked for was done, and not stopped.
      numbers: of the frames in the results, as their source counts them.
      estimated: how many of them a network saw.
    """

    frames: int
    persons: int
    tracks: int
    lost: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    rescaled: tuple[tuple[int, tuple[int, int]], ...] = ()
    missing: int = 0
    unsure: int | None = None
    jumps: tuple[tuple[int, int], ...] = ()
    surplus: int = 0
    complete: bool = True
    numbers: tuple[int, ...] = ()
    estimated: int = 0


@dataclasses.dataclass
class _Waiting:
    index: int
    image: np.ndarray
    found: Detections
    crops: list[np.ndarray]
    transforms: list[np.ndarray]


def estimate_poses(
    frames: Iterable[np.ndarray],
    predictor: Predictor,
    detector: Detector,
    stop: Callable[[], bool] = lambda: False,
    tracking: TrackingOptions | None = None,
    name: str = "of the frames given",
    related: bool = True,
    detect_every: int = 1,
    estimate_every: int = 1,
    lost: Callable[[int], bool] = lambda index: False,
) -> Iterator[FramePoses]:
    """The poses of every frame of a stream, in order.

    Args:
      frames: uint8 RGB [H, W, 3], in the order of time.
      predictor: the model.
      detector: the boxes of each frame; where it gives identities they are kept, else they are assigned here, and of
        two poses of one person the weaker one is dropped.
      stop: asked before each frame and each batch; where it says so, the poses end with those that are there.
      tracking: which boxes begin tracks, and which tracks get a place in the results.
      name: of the video, for messages.
      related: whether the frames follow each other in time; else each is estimated by itself, and identities are its
        own.
      detect_every: people are looked for on every n-th frame, and are on straight lines between; see `sparse`.
      estimate_every: of frames that follow each other, the detector and the model see every n-th and the last; in the
        frames between, poses are on straight lines; see `between`.
      lost: whether a frame, by its place, has no picture, so that another one is estimated for it.

    Raises:
      InputError: a pose that is not finite.
    """
    tracking = tracking or TrackingOptions()
    if not related:
        tracking = dataclasses.replace(tracking, min_track_length=1)
        alone = detected(_alone(frames, predictor.delta), detector, 1, stop)
        return _tracked_poses(alone, predictor, stop, tracking, None, name)
    tracker = Tracker(tracking, predictor.skeleton)
    between, all_windows = Between(estimate_every, lost, stop), windows(frames, predictor.delta)
    seen = detected(between.chosen(all_windows), detector, detect_every, stop)
    poses = _tracked_poses(seen, predictor, stop, tracking, tracker, name, lambda: between.full)
    return between.filled(lasting_people(poses, tracker))


def _alone(frames: Iterable[np.ndarray], delta: int) -> Iterator[Window]:
    """Each frame as its own neighbours."""
    for index, frame in enumerate(frames):
        yield Window(index, (frame,) * (2 * delta + 1), (0,) * (2 * delta + 1))


def _tracked_poses(
    seen: Iterable[tuple[Window, Detections]],
    predictor: Predictor,
    stop: Callable[[], bool],
    tracking: TrackingOptions,
    tracker: Tracker | None,
    name: str,
    full: Callable[[], bool] = lambda: False,
) -> Iterator[FramePoses]:
    """As `estimate_poses`, with all tracks, short ones too; without a tracker, each frame has its own."""
    waiting: list[_Waiting] = []
    before = None  # the frame before
    weak_boxes = WeakBoxes(tracking)
    sigmas = joint_sigmas(predictor.skeleton)

    def run() -> Iterator[FramePoses]:
        nonlocal before
        crops = [crop for frame in waiting for crop in frame.crops]
        transforms = [transform for frame in waiting for transform in frame.transforms]
        box_scores = [float(score) for frame in waiting for score in frame.found.scores]
        keypoints, scores = predictor.predict(crops, transforms, box_scores)
        start = 0
        for frame in waiting:
            persons = slice(start, start + len(frame.found))
            start = persons.stop
            boxes, box_scores, ids = frame.found.boxes, frame.found.scores, frame.found.track_ids
            # Before identities: nothing is alike that is no number.
            check_finite(name, frame.index, boxes, keypoints[persons], scores[persons])
            sure = np.ones(len(boxes))
            poses = FramePoses(
                frame.index, frame.image, boxes, keypoints[persons], scores[persons], ids, box_scores, sure
            )
            if ids is None:
                found = boxes, box_scores, poses.keypoints, poses.scores
                doubles = np.ones(len(boxes), bool)
                doubles[distinct_poses(*found, sigmas)] = False
                mine = tracker or Tracker(tracking, predictor.skeleton)
                ids, sure = mine.update(*found, doubles, 1 if before is None else frame.index - before)
                rows = (ids >= 0) & ~doubles
                poses = dataclasses.replace(poses, track_scores=sure).select(rows, ids[rows])
            elif tracker:
                tracker.accept(ids)
            before = frame.index
            yield poses
        waiting.clear()

    for window, found in seen:
        if found.track_ids is None:
            worthy = weak_boxes.worthy(found.boxes, found.scores)
            found = Detections(found.boxes[worthy], found.scores[worthy])
        cut = [predictor.crop(window.frames, box) for box in found.boxes]
        crops, transforms = [c for c, _ in cut], [t for _, t in cut]
        waiting.append(_Waiting(window.index, window.key_frame, found, crops, transforms))
        many = sum(len(w.found) for w in waiting) >= predictor.batch_size
        if many or len(waiting) >= MAX_WAITING_FRAMES or full():
            if stop():
                return
            yield from run()
    if waiting and not stop():
        yield from run()


def predict_video(
    predictor: Predictor,
    video: str | pathlib.Path | Source,
    output: str | pathlib.Path,
    detector: Detector,
    *,
    images: Mapping[int, dict[str, Any]] | None = None,
    max_frames: int | None = None,
    overlay: bool = True,
    draw: Sequence[str] = DEFAULT_PARTS,
    draw_threshold: float = DRAW_THRESHOLD,
    formats: Sequence[str] = (),
    page: bool = True,
    box_source: str | None = None,
    tracking: TrackingOptions | None = None,
    detect_every: int = 1,
    estimate_every: int = 1,
    refine: Callable[[Predictions, float], Predictions] | None = None,
    report: Callable[[FramePoses], None] = lambda poses: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write `overlay.mp4`, `poses.json`, `poses.csv`, files of other forms and `report.html`, all of them or none.

    Of a source of pictures the overlay is `overlay.jpg`, or of several pictures a folder `overlay` of as many, and
    there is no page.

    A frame whose picture is lost in a damaged file has its number, its time in the overlay and no poses; for the frames
    around it, the picture before stands in for it. The overlay keeps the times of the video.

    Args:
      predictor: the model.
      video: a video file, or another source of frames.
      output: folder, made where it does not exist.
      detector: the boxes of each frame.
      images: by frame from 0, entries of a box file whose ids and names the results keep; those of other frames are
        made up.
      max_frames: stop after so many frames; None takes all.
      overlay: whether to write `overlay.mp4`.
      draw: of `overlay.PARTS`, what it shows beside the poses.
      draw_threshold: least score of a joint that is drawn; all are written.
      formats: of `outputs.formats.FORMATS`, further files.
      page: whether to write `report.html`.
      box_source: where the boxes come from, kept in `poses.json`.
      tracking, detect_every, estimate_every: as for `estimate_poses`.
      refine: makes other poses of those of the whole video, given the frames a second. The overlay is then drawn from
        a second reading of the source, which cameras and streams do not allow.
      report: called after each frame, which may yet have to be drawn.
      stop: asked between frames; where it says so, the files end with the frames so far, if there is one.

    Raises:
      InputError: an unreadable video or a box at fault; no result file is left behind then.
      NoSpace: the results find no room; nothing is left behind.
      NothingDone: `stop` said so before the first frame.
    """
    reader = VideoReader(video) if isinstance(video, str | pathlib.Path) else video
    name = reader.name
    found, seen = Collector(predictor.skeleton), _Seen(detector)
    drawing = Overlay(predictor.skeleton, draw, draw_threshold)
    with files.staged(output) as stage:
        place, at_once = pathlib.Path(output) / OVERLAY, overlay and refine is None
        room = int(np.clip(HELD_BYTES // (3 * reader.size[0] * reader.size[1]), 2, MAX_WAITING_FRAMES))
        with (
            _writing(reader, stage, place) if at_once else contextlib.nullcontext() as writer,
            Behind(room) as behind,
            contextlib.closing(ahead(itertools.islice(reader.frames(), max_frames), min(room, READ_AHEAD))) as read,
        ):
            frames = seen.pictures(read)
            following = reader.related, detect_every, estimate_every, seen.lost.__contains__
            for poses in estimate_poses(frames, predictor, seen.boxes, stop, tracking, name, *following):
                frame, lost = seen.waiting.pop(poses.index), poses.index in seen.lost
                if lost:  # between two frames that are looked at, people go on
                    poses = poses.nobody()
                if writer is not None and not (lost and reader.pictures):
                    number = seen.numbers[poses.index] if lost else None
                    when = frame.name if reader.pictures else frame.time - seen.first
                    behind.do(functools.partial(_draw, drawing, poses, number, writer, when))
                found.add(poses, frame.time)
                report(poses)
            if not found.frames:
                raise NothingDone  # by a stop: a video without a frame is refused by its reader
        count = found.frames
        numbers = seen.numbers[:count]
        listed = frame_images(images or seen.images(count), numbers, name)
        predictions = found.predictions(name, listed, numbers, timed=reader.timed)
        if refine is not None:
            predictions = refine(predictions, float(reader.rate))
            if overlay:
                with _writing(reader, stage, place) as writer:
                    draw_again(reader, predictions, drawing, writer)
        lost = tuple(numbers[index] for index in sorted(seen.lost) if index < count)
        estimated = [number for number, looked_at in zip(numbers, found.estimated) if looked_at]
        told = {"lost_frames": lost, "estimated_frames": estimated if estimate_every > 1 else None}
        write_files(predictions, stage, formats, box_source=box_source, **told)
        if page and not reader.pictures:
            write_page(
                predictions,
                stage / PAGE,
                stage / OVERLAY if overlay else None,
                size=reader.size,
                threshold=draw_threshold,
            )
    return Summary(
        count,
        len(predictions.image_id),
        len(np.unique(predictions.track_id)),
        lost,
        tuple(numbers[index] for index in seen.damaged if index < count),
        tuple((numbers[index], size) for index, size in seen.rescaled if index < count),
        reader.missing,
        reader.unsure,
        tuple(jump for jump in reader.jumps if numbers[0] < jump[0] <= numbers[-1]),
        surplus=reader.surplus,
        complete=seen.ended and count == len(seen.numbers),
        numbers=tuple(numbers),
        estimated=len(estimated),
    )


def _draw(drawing: Overlay, poses: FramePoses, lost: int | None, writer: Any, when: Fraction | str) -> None:
    """Draw a frame's poses, or that frame number `lost` is none, and write it with its time or name."""
    drawn = drawing.draw(poses.image, poses.keypoints, poses.scores, poses.boxes, poses.track_ids)
    if lost is not None:
        label_lost(drawn, lost)
    writer.write(drawn, when)


def _writing(reader: Source, stage: pathlib.Path, place: pathlib.Path) -> contextlib.AbstractContextManager:
    """What the overlay is written by."""
    if reader.pictures:
        return contextlib.nullcontext(PictureWriter(stage, single=reader.expected_frames == 1))
    return VideoWriter(stage / OVERLAY, reader.rate, reader.size, reader.time_base, shown=place)


class NothingDone(Exception):
    """`stop` said so before the first frame was done; nothing is left behind."""


class _Seen:
    """What the pipeline must know of frames that are read ahead of those that are written."""

    def __init__(self, detector: Detector):
        self._detector = detector
        self.numbers: list[int] = []
        self.names: list[str | None] = []
        self.first = Fraction(0)  # time of the first frame
        self.lost: set[int] = set()
        self.damaged: list[int] = []
        self.rescaled: list[tuple[int, tuple[int, int]]] = []
        self.waiting: dict[int, Frame] = {}
        self.ended = False

    def pictures(self, frames: Iterable[Frame]) -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            self.numbers.append(index if frame.number is None else frame.number)
            self.names.append(frame.name)
            self.waiting[index] = dataclasses.replace(frame, image=None)
            if not index:
                self.first = frame.time
            if frame.lost:
                self.lost.add(index)
            elif frame.damaged:
                self.damaged.append(index)
            if frame.size is not None and not frame.lost:
                self.rescaled.append((index, frame.size))
                if isinstance(self._detector, BoxTable):
                    raise InputError(
                        f"frame {self.numbers[-1]} of the video is {frame.size[0]}×{frame.size[1]}, the first one "
                        f"{frame.image.shape[1]}×{frame.image.shape[0]}: which of them the box file's pixels are of is "
                        "not known; cut the video there, and predict each part with its boxes"
                    )
            yield frame.image
        self.ended = True

    def boxes(self, index: int, image: np.ndarray) -> Detections:
        """The detector's; a lost frame, of which there is no picture, has none."""
        return Detections.empty() if index in self.lost else self._detector(self.numbers[index], image)

    def images(self, count: int) -> dict[int, dict[str, Any]]:
        """Entries of `images` for frames that are files of their own, by number."""
        named = zip(self.numbers[:count], self.names)
        return {number: {"id": number, "file_name": name} for number, name in named if name is not None}

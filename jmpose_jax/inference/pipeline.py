"""From a video file to poses: boxes, crops, model, identities, overlay video, JSON and CSV, in one pass.

Frames stream through: what is held is the window, and the frames whose persons wait for a batch to fill. A longer video
needs no more memory but for the poses themselves.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from jmpose_jax import files
from jmpose_jax.boxes.images import frame_images
from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections, Detector
from jmpose_jax.inference.drawing import draw_label, draw_people, track_color
from jmpose_jax.inference.export import check_finite, write_csv, write_posetrack18
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.tracking import Tracks, update_tracks
from jmpose_jax.inference.video import Frame, VideoReader, VideoWriter
from jmpose_jax.inference.windows import windows
from jmpose_jax.records import Predictions

# Frames without persons do not fill a batch; so many may wait before the batch is run as it is.
MAX_WAITING_FRAMES = 16


@dataclasses.dataclass(frozen=True)
class FramePoses:
    """The N persons of one frame: boxes [N, 4], keypoints [N, 15, 2], scores [N, 15], track_ids [N]."""

    index: int
    image: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    track_ids: np.ndarray


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
) -> Iterator[FramePoses]:
    """The poses of every frame of a stream, in order.

    Args:
      frames: uint8 RGB [H, W, 3], in the order of time.
      predictor: the model.
      detector: the boxes of each frame; where it gives identities they are kept, else they are assigned here.
      stop: asked before each frame and each batch; where it says so, the poses end with those that are there.
    """
    waiting: list[_Waiting] = []
    tracks = Tracks.empty()

    def run() -> Iterator[FramePoses]:
        nonlocal tracks
        crops = [crop for frame in waiting for crop in frame.crops]
        transforms = [transform for frame in waiting for transform in frame.transforms]
        box_scores = [float(score) for frame in waiting for score in frame.found.scores]
        keypoints, scores = predictor.predict(crops, transforms, box_scores)
        start = 0
        for frame in waiting:
            persons = slice(start, start + len(frame.found))
            start = persons.stop
            ids = frame.found.track_ids
            if ids is None:
                tracks, ids = update_tracks(tracks, frame.found.boxes, keypoints[persons])
            yield FramePoses(frame.index, frame.image, frame.found.boxes, keypoints[persons], scores[persons], ids)
        waiting.clear()

    for window in windows(frames, predictor.delta):
        if stop():
            return
        found = detector(window.index, window.key_frame)
        cut = [predictor.crop(window.frames, box) for box in found.boxes]
        crops, transforms = [c for c, _ in cut], [t for _, t in cut]
        waiting.append(_Waiting(window.index, window.key_frame, found, crops, transforms))
        if sum(len(w.found) for w in waiting) >= predictor.batch_size or len(waiting) >= MAX_WAITING_FRAMES:
            if stop():
                return
            yield from run()
    if waiting and not stop():
        yield from run()


def predict_video(
    predictor: Predictor,
    video: str | pathlib.Path,
    output: str | pathlib.Path,
    detector: Detector,
    *,
    images: Mapping[int, dict[str, Any]] | None = None,
    max_frames: int | None = None,
    draw_threshold: float = 0.1,
    box_source: str | None = None,
    report: Callable[[FramePoses], None] = lambda poses: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write `overlay.mp4`, `poses.json` (PoseTrack18 form) and `poses.csv`, all of them or none.

    A frame whose picture is lost in a damaged file has its number, its time in the overlay and no poses; for the frames
    around it, the picture before stands in for it. The overlay keeps the times of the video.

    Args:
      predictor: the model.
      video: a video file.
      output: folder, made where it does not exist.
      detector: the boxes of each frame.
      images: by frame from 0, entries of a box file whose ids and names the results keep; those of other frames are
        made up.
      max_frames: stop after so many frames; None takes all.
      draw_threshold: least score of a joint that is drawn; all are written.
      box_source: where the boxes come from, kept in `poses.json`.
      report: called after each frame.
      stop: asked between frames; where it says so, the files end with the frames so far, if there is one.

    Raises:
      InputError: an unreadable video or a box at fault; no result file is left behind then.
      NoSpace: the results find no room; nothing is left behind.
      NothingDone: `stop` said so before the first frame.
    """
    reader = VideoReader(video)
    name = reader.path.stem
    columns: dict[str, list[np.ndarray]] = {key: [] for key in ("frame", "boxes", "keypoints", "scores", "track_ids")}
    seen = _Seen(detector)
    count = 0
    with files.staged(output) as stage:
        overlay = "overlay.mp4"
        place = pathlib.Path(output) / overlay
        with VideoWriter(stage / overlay, reader.rate, reader.size, reader.time_base, shown=place) as writer:
            frames = seen.pictures(itertools.islice(reader.frames(), max_frames))
            for poses in estimate_poses(frames, predictor, seen.boxes, stop):
                check_finite(name, poses.index, poses.boxes, poses.keypoints, poses.scores)
                drawn = draw_people(
                    poses.image, poses.keypoints, poses.scores, poses.boxes, poses.track_ids, threshold=draw_threshold
                )
                if poses.index in seen.lost:
                    draw_label(drawn, f"frame {poses.index}: no picture in the file", (0, 0), track_color(None))
                writer.write(drawn, seen.times.pop(poses.index))
                columns["frame"].append(np.full(len(poses.boxes), poses.index, np.int64))
                for key in ("boxes", "keypoints", "scores", "track_ids"):
                    columns[key].append(getattr(poses, key))
                count += 1
                report(poses)
            if not count:
                raise NothingDone  # by a stop: a video without a frame is refused by its reader
        joined = {key: np.concatenate(values) for key, values in columns.items()}
        listed = frame_images(images or {}, range(count), name)
        predictions = Predictions(
            video=name,
            images=listed,
            image_id=np.array([image["id"] for image in listed], np.int64)[joined["frame"]],
            keypoints=joined["keypoints"],
            scores=joined["scores"],
            boxes=joined["boxes"],
            track_id=joined["track_ids"],
        )
        lost = tuple(sorted(frame for frame in seen.lost if frame < count))
        write_posetrack18(predictions, stage / "poses.json", box_source=box_source, lost_frames=lost)
        write_csv(predictions, stage / "poses.csv")
    return Summary(
        count,
        len(predictions.image_id),
        len(np.unique(predictions.track_id)),
        lost,
        tuple(frame for frame in seen.damaged if frame < count),
        tuple((frame, size) for frame, size in seen.rescaled if frame < count),
        reader.missing,
        reader.unsure,
        tuple(jump for jump in reader.jumps if jump[0] < count),
        surplus=reader.surplus,
        complete=seen.ended and count == seen.count,
    )


class NothingDone(Exception):
    """`stop` said so before the first frame was done; nothing is left behind."""


class _Seen:
    """What the pipeline must know of frames that are read ahead of those that are written."""

    def __init__(self, detector: Detector):
        self._detector = detector
        self.count = 0
        self.lost: set[int] = set()
        self.damaged: list[int] = []
        self.rescaled: list[tuple[int, tuple[int, int]]] = []
        self.times: dict[int, Fraction] = {}
        self.ended = False

    def pictures(self, frames: Iterable[Frame]) -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            self.count = index + 1
            self.times[index] = frame.time
            if frame.lost:
                self.lost.add(index)
            elif frame.damaged:
                self.damaged.append(index)
            if frame.size is not None and not frame.lost:
                self.rescaled.append((index, frame.size))
                if isinstance(self._detector, BoxTable):
                    raise InputError(
                        f"frame {index} of the video is {frame.size[0]}×{frame.size[1]}, the first one "
                        f"{frame.image.shape[1]}×{frame.image.shape[0]}: which of them the box file's pixels are of is "
                        "not known; cut the video there, and predict each part with its boxes"
                    )
            yield frame.image
        self.ended = True

    def boxes(self, index: int, image: np.ndarray) -> Detections:
        """The detector's; a lost frame, of which there is no picture, has none."""
        return Detections.empty() if index in self.lost else self._detector(index, image)

"""From a video file to poses: boxes, crops, model, identities, overlay video, JSON and CSV, in one pass.

Frames stream through: what is held is the window, and the frames whose persons wait for a batch to fill. A longer video
needs no more memory but for the poses themselves.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jmpose_jax.boxes.images import frame_images
from jmpose_jax.inference.detectors import Detections, Detector
from jmpose_jax.inference.drawing import draw_people
from jmpose_jax.inference.export import write_csv, write_posetrack18
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.tracking import Tracks, update_tracks
from jmpose_jax.inference.video import VideoReader, VideoWriter
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
    """What `predict_video` did."""

    frames: int
    persons: int
    tracks: int


@dataclasses.dataclass
class _Waiting:
    index: int
    image: np.ndarray
    found: Detections
    crops: list[np.ndarray]
    transforms: list[np.ndarray]


def estimate_poses(frames: Iterable[np.ndarray], predictor: Predictor, detector: Detector) -> Iterator[FramePoses]:
    """The poses of every frame of a stream, in order.

    Args:
      frames: uint8 RGB [H, W, 3], in the order of time.
      predictor: the model.
      detector: the boxes of each frame; where it gives identities they are kept, else they are assigned here.
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
        found = detector(window.index, window.key_frame)
        cut = [predictor.crop(window.frames, box) for box in found.boxes]
        crops, transforms = [c for c, _ in cut], [t for _, t in cut]
        waiting.append(_Waiting(window.index, window.key_frame, found, crops, transforms))
        if sum(len(w.found) for w in waiting) >= predictor.batch_size or len(waiting) >= MAX_WAITING_FRAMES:
            yield from run()
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
) -> Summary:
    """Write `overlay.mp4`, `poses.json` (PoseTrack18 form) and `poses.csv`.

    Args:
      predictor: the model.
      video: file that OpenCV reads.
      output: folder, made where it does not exist.
      detector: the boxes of each frame.
      images: by frame, entries of a box file whose ids and names the results keep; those of other frames are made up.
      max_frames: stop after so many frames; None takes all.
      draw_threshold: least score of a joint that is drawn; all are written.
      box_source: where the boxes come from, kept in `poses.json`.
      report: called after each frame.

    Raises:
      InputError: an unreadable video or a box at fault; no result file is left behind then.
    """
    reader = VideoReader(video)
    output, name = pathlib.Path(output), reader.path.stem
    columns: dict[str, list[np.ndarray]] = {key: [] for key in ("frame", "boxes", "keypoints", "scores", "track_ids")}
    count = 0
    with VideoWriter(output / "overlay.mp4", reader.fps, reader.size) as writer:
        frames = itertools.islice(iter(reader), max_frames)
        for poses in estimate_poses(frames, predictor, detector):
            drawn = draw_people(
                poses.image, poses.keypoints, poses.scores, poses.boxes, poses.track_ids, threshold=draw_threshold
            )
            writer.write(drawn)
            columns["frame"].append(np.full(len(poses.boxes), poses.index, np.int64))
            for key in ("boxes", "keypoints", "scores", "track_ids"):
                columns[key].append(getattr(poses, key))
            count += 1
            report(poses)
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
        write_posetrack18(predictions, output / "poses.json", box_source=box_source)
        write_csv(predictions, output / "poses.csv")
    return Summary(count, len(predictions.image_id), len(np.unique(predictions.track_id)))

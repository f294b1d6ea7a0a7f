"""Poses of a stream of frames: windows, boxes, crops, batches and identities, in the order of time.

What is held is the window and the frames whose persons wait for a batch to fill.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from jmpose_jax.inference.between import Between
from jmpose_jax.inference.detectors import Detections, Detector
from jmpose_jax.inference.distinct import distinct_poses
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.outputs.finite import check_finite
from jmpose_jax.inference.overlap import ahead
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.sparse import detected
from jmpose_jax.inference.tracking.short_tracks import lasting_people
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions
from jmpose_jax.inference.tracking.weak_boxes import WeakBoxes
from jmpose_jax.inference.windows import Window, windows
from jmpose_jax.metrics.keypoints import joint_sigmas

# Frames without persons do not fill a batch; so many may wait before the batch is run as it is.
MAX_WAITING_FRAMES = 16


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
    number: Callable[[int], int] = lambda index: index,
    related: bool = True,
    detect_every: int = 1,
    estimate_every: int = 1,
    lost: Callable[[int], bool] = lambda index: False,
    look_ahead: int = 0,
) -> Iterator[FramePoses]:
    """The poses of every frame of a stream, in order.

    To be closed (`contextlib.closing`) where `look_ahead` is given and it may not be read to its end.

    Args:
      frames: uint8 RGB [H, W, 3], in the order of time.
      predictor: the model.
      detector: the boxes of each frame; where it gives identities they are kept, else they are assigned here, and of
        two poses of one person the weaker one is dropped.
      stop: asked before each frame and each batch; where it says so, the poses end with those that are there.
      tracking: which boxes begin tracks, and which tracks get a place in the results.
      name: of the video, for messages.
      number: of a frame, for messages, by its place among the frames.
      related: whether the frames follow each other in time; else each is estimated by itself, and identities are its
        own.
      detect_every: people are looked for on every n-th frame, and are on straight lines between; see `sparse`.
      estimate_every: of frames that follow each other, the detector and the model see every n-th and the last; in the
        frames between, poses are on straight lines; see `between`.
      lost: whether a frame, by its place, has no picture, so that another one is estimated for it.
      look_ahead: frames on which a thread looks for people while poses are estimated: one network fills the cores that
        the other leaves idle. `frames`, `detector` and `stop` are then asked in that thread. 0 does all in turns, with
        the same poses.

    Raises:
      InputError: a pose that is not finite.
    """
    tracking = tracking or TrackingOptions()
    between = Between(estimate_every if related else 1, lost, stop)
    if related:
        tracker = Tracker(tracking, predictor.skeleton)
        seen = detected(between.chosen(windows(frames, predictor.delta)), detector, detect_every, stop)
    else:
        tracker, tracking = None, dataclasses.replace(tracking, min_track_length=1)
        seen = detected(_alone(frames, predictor.delta), detector, 1, stop)
    with contextlib.closing(ahead(seen, look_ahead) if look_ahead else seen) as seen:
        poses = _tracked_poses(seen, predictor, stop, tracking, tracker, name, number, lambda: between.full)
        yield from between.filled(lasting_people(poses, tracker)) if tracker else poses


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
    number: Callable[[int], int],
    full: Callable[[], bool],
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
            check_finite(name, number(frame.index), boxes, keypoints[persons], scores[persons])
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

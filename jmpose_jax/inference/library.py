"""`jmpose_jax.load`: a ready predictor of poses, NumPy in and out."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections, Detector, make_detector
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.movenet import (
    DETECTOR,
    ESTIMATORS,
    MIN_BOX_SCORE,
    MIN_PERSON_SCORE,
    MOVENET,
    MoveNetDetector,
    pose_predictor,
    weights,
)
from jmpose_jax.inference.predictor import Predictor, from_checkpoint
from jmpose_jax.inference.sources.source import Source, open_sources
from jmpose_jax.inference.streamed import estimate_poses
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions
from jmpose_jax.skeletons import Skeleton
from jmpose_jax.weights.published import full_name, published


@dataclasses.dataclass(frozen=True)
class Poses:
    """The people of one image, or of the frames of a clip.

    `poses, scores, ids = found` takes the three apart.

    Attributes:
      poses: float32 [N, K, 2], (x, y) in image pixels; of a clip a list of such arrays, one a frame.
      scores: float32 [N, K], confidence of each joint; of a clip a list.
      ids: int64 [N], one number a person through the frames of a clip; of a clip a list.
      boxes: float32 [N, 4], (x, y, width, height) that the poses were estimated in; of a clip a list.
      frame: of a path, the number of the frame, from 0; else None.
      skeleton: names, limbs and mirror pairs of the K joints.
    """

    poses: Any
    scores: Any
    ids: Any
    boxes: Any
    skeleton: Skeleton
    frame: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """poses, scores and ids."""
        return iter((self.poses, self.scores, self.ids))


class PosePredictor:
    """Poses of images, clips and videos by one model.

    Attributes:
      skeleton: of the poses.
    """

    def __init__(self, predictor: Predictor, detector: Callable[[], Detector], tracking: TrackingOptions | None = None):
        """Use `load`.

        Args:
          predictor: the model.
          detector: makes what finds people, once it is needed.
          tracking: the rules of identities.
        """
        self._predictor, self._make_detector, self._tracking = predictor, detector, tracking or TrackingOptions()
        self._detector: Detector | None = None
        self.skeleton = predictor.skeleton

    def __call__(self, frames: Any, boxes: Any = None) -> "Poses | Iterator[Poses]":
        """Estimate poses.

        Args:
          frames: one image, uint8 RGB [H, W, 3]; a clip [T, H, W, 3] or a sequence of images in the order of time; or a
            path, as `jmpose predict` takes it (a video, a picture, a folder or a pattern of pictures, a URL).
          boxes: float [N, 4], (x, y, width, height) in pixels, of one image; of a clip one such array a frame. Every
            box gets a pose, in the order given. By default people are found.

        Returns:
          The people of the image or the clip; of a path an iterator over its frames, which are read as it goes.

        Raises:
          InputError: frames, boxes or a path at fault.
        """
        if isinstance(frames, str | os.PathLike):
            if boxes is not None:
                raise InputError("boxes are given with images; read the video, or use `jmpose predict --boxes`")
            return self._source(os.fspath(frames))
        if any(hasattr(frames, name) for name in ("__array__", "__array_interface__")) and np.ndim(frames) in (2, 3):
            (found,) = self._run([_image(frames, "image")], None if boxes is None else [boxes])
            return self._poses(found)
        if not isinstance(frames, Iterable):
            raise InputError(f"frames are {type(frames).__name__}; give images, or the path of a video")
        images = [_image(frame, f"frames[{i}]") for i, frame in enumerate(frames)]
        if boxes is not None and len(boxes) != len(images):
            raise InputError(f"boxes of {len(boxes)} frames are given for {len(images)} frames; give one array a frame")
        found = list(self._run(images, boxes))
        columns = (("poses", "keypoints"), ("scores", "scores"), ("ids", "track_ids"), ("boxes", "boxes"))
        lists = {name: [np.asarray(getattr(frame, of)) for frame in found] for name, of in columns}
        return Poses(**lists, skeleton=self.skeleton)

    def _source(self, path: str) -> Iterator[Poses]:
        sources = open_sources([path], "path")
        if len(sources) > 1:
            raise InputError(f"path {path}: matches {len(sources)} videos; read them one by one")
        return self._read(sources[0])

    def _read(self, source: Source) -> Iterator[Poses]:
        lost: set[int] = set()  # frames whose pictures cannot be read: the one before stands there

        def images() -> Iterator[np.ndarray]:
            for index, frame in enumerate(source.frames()):
                if frame.lost:
                    lost.add(index)
                yield frame.image

        for found in self._found(images(), source.related):
            if found.index in lost:
                found = found.nobody()
            yield dataclasses.replace(self._poses(found), frame=found.index)

    def _run(self, images: Sequence[np.ndarray], boxes: Sequence[Any] | None) -> Iterator[FramePoses]:
        if boxes is None:
            return self._found(images, len(images) > 1)
        given = [_boxes(of_frame, f"boxes[{i}]") for i, of_frame in enumerate(boxes)]

        def detector(index: int, image: np.ndarray) -> Detections:
            count = len(given[index])
            # Identities of its own kind keep every box, which the tracker below then tells apart.
            return Detections(given[index], np.ones(count, np.float32), np.arange(count))

        tracker = Tracker(TrackingOptions(), self.skeleton)

        def identified(frame: FramePoses) -> FramePoses:
            ids, _ = tracker.update(frame.boxes, frame.box_scores, frame.keypoints, frame.scores)
            return dataclasses.replace(frame, track_ids=ids)

        return map(identified, estimate_poses(images, self._predictor, detector, related=len(images) > 1))

    def _found(self, images: Iterable[np.ndarray], related: bool) -> Iterator[FramePoses]:
        self._detector = self._detector or self._make_detector()
        return estimate_poses(images, self._predictor, self._detector, tracking=self._tracking, related=related)

    def _poses(self, frame: FramePoses) -> Poses:
        return Poses(frame.keypoints, frame.scores, frame.track_ids, frame.boxes, self.skeleton)


def load(
    name_or_path: str | os.PathLike,
    *,
    detector: str | Detector = MOVENET,
    batch_size: int = 8,
    say: Callable[[str], None] = lambda line: None,
) -> PosePredictor:
    """A ready predictor.

    Published weights that are not there are fetched, see `weights.published`; after that nothing needs a network.

    Args:
      name_or_path: "movenet_thunder" or "movenet_lightning", for short "thunder" or "lightning"; or a trained model: a
        workdir, one of its checkpoints, or the output of `jmpose convert`.
      detector: what finds people where no boxes are given: "movenet", "hog", "whole" (one person fills the image), or a
        function of a frame's number and image.
      batch_size: people estimated at once.
      say: told what is fetched, a line each.

    Raises:
      InputError: neither a name nor a checkpoint, an unknown detector, or weights that cannot be had.
    """
    name = os.fspath(name_or_path)
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: give 1 or more")
    names = [full_name(variant) for variant in ESTIMATORS]
    if name in ESTIMATORS and not pathlib.Path(name).exists():
        name = full_name(name)
    if name in names:
        predictor = pose_predictor(published(name).variant, weights([name], say)[name], batch_size)
    elif pathlib.Path(name).exists():
        predictor = from_checkpoint(name, batch_size=batch_size)
    else:
        raise InputError(f"{name}: neither a folder nor one of {', '.join(names)}")
    if callable(detector):
        return PosePredictor(predictor, lambda: detector)
    if detector != MOVENET:
        found = make_detector(detector)
        return PosePredictor(predictor, lambda: found)
    least = MIN_PERSON_SCORE if name in names else TrackingOptions.min_person_score
    tracking = TrackingOptions(min_box_score=MIN_BOX_SCORE, min_person_score=least)

    def movenet() -> Detector:
        return MoveNetDetector(weights([DETECTOR], say)[DETECTOR], threshold=tracking.weakest)

    return PosePredictor(predictor, movenet, tracking)


def _image(image: Any, where: str) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(
            f"{where} is {image.dtype} {list(image.shape)}; give uint8 RGB [H, W, 3]"
            + (", as (255 * image).astype('uint8') makes it" if np.issubdtype(image.dtype, np.floating) else "")
        )
    return image


def _boxes(boxes: Any, where: str) -> np.ndarray:
    try:
        boxes = np.asarray(boxes, np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{where} are no numbers of one shape; give (x, y, width, height), [N, 4]") from None
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all() or not (boxes[:, 2:] > 0).all():
        raise InputError(
            f"{where} must be (x, y, width, height) with a positive size, [N, 4]; found {boxes.tolist()[:2]}"
        )
    return boxes

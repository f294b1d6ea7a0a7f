"""MoveNet on videos: multipose finds people, thunder or lightning estimates their poses; weights by name."""

from collections.abc import Callable
from typing import Any

import cv2
import jax
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections, non_maximum_suppression
from jmpose_jax.inference.distinct import joined_boxes
from jmpose_jax.inference.estimate import Variables, to_image
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.models.movenet.decoding import decode_one, decode_several
from jmpose_jax.models.movenet.network import SIZE_MULTIPLE, VARIANTS, MoveNet
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import COCO17
from jmpose_jax.weights import published

MOVENET = "movenet"  # the name of the detector
DETECTOR = "movenet_multipose"  # that of its weights
ESTIMATORS = ("thunder", "lightning")
MIN_BOX_SCORE = 0.15  # of a box that begins a track
# Least product of the scores of box and joints (mean). Of two children, pedestrians and people in COCO's pictures it is
# 0.1 to 0.9, of people mostly hidden less; of a lamp that was a person for 140 frames 0.03 mostly, at most 0.11.
MIN_PERSON_SCORE = 0.1
ENLARGE = 1.25  # of boxes, as the lineage crops; from 1.15 to 1.3 the accuracy on real people is about the same


def weights(names: list[str], say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The variables of published weights by name, fetched where they are not there or not whole.

    Raises:
      InputError: as `published.get`.
    """
    found, missing = {}, []
    for name in names:
        try:
            found[name] = published.load(name)
        except InputError:  # not there, or not whole
            published.published(name)
            missing.append(name)
    if missing:
        published.get_all(missing, None, say)
    return found | {name: published.load(name) for name in missing}


class MoveNetDetector:
    """People by their centres: MoveNet multipose on a copy of the image."""

    def __init__(
        self,
        variables: Variables,
        *,
        threshold: float = MIN_BOX_SCORE,
        count: int = 20,
        long_side: int = 512,
        overlap: float = 0.7,
    ):
        """Take the model.

        Args:
          variables: of `MoveNet("multipose")`.
          threshold: least score of a person's centre.
          count: most people in an image.
          long_side: of the copy, pixels. Above 512 large people are lost.
          overlap: of two boxes, intersection over union, above which the weaker one is dropped.
        """
        self._variables = jax.device_put(variables)
        self._threshold, self._long_side, self._overlap = threshold, long_side, overlap
        self._compiled: tuple[int, int] | None = None
        model = MoveNet("multipose")
        self._run = jax.jit(lambda variables, images: decode_several(model.apply(variables, images), count))

    def __call__(self, index: int, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        zoom = self._long_side / max(height, width)
        size = [max(round(n * zoom), 1) for n in (height, width)]
        padded = np.zeros((*self._padded(size), 3), np.uint8)
        interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        padded[: size[0], : size[1]] = cv2.resize(image, (size[1], size[0]), interpolation=interpolation)
        people = jax.device_get(self._run(self._variables, padded[None]))
        sure = people.centers[0] >= self._threshold
        boxes, scores = people.boxes[0][sure].astype(np.float64), people.centers[0][sure]
        boxes = joined_boxes(boxes, people.keypoints[0][sure], people.scores[0][sure])
        scale = np.array([width / size[1], height / size[0]])
        low = np.clip(boxes[:, :2] * scale, 0, (width, height))
        high = np.clip((boxes[:, :2] + boxes[:, 2:]) * scale, 0, (width, height))
        boxes = np.concatenate([low, high - low], 1)
        wide = (boxes[:, 2:] >= 1).all(1)
        boxes, scores = boxes[wide], scores[wide]
        keep = non_maximum_suppression(boxes, scores, self._overlap, True) if len(boxes) else np.zeros(0, np.int64)
        return Detections(boxes[keep].astype(np.float32), scores[keep].astype(np.float32))

    def _padded(self, size: list[int]) -> tuple[int, int]:
        """(height, width) that is run: the least for images of one size, a square for those of further sizes.

        Each shape is compiled, and pictures of a folder have many sizes.
        """
        height, width = (-(-n // SIZE_MULTIPLE) * SIZE_MULTIPLE for n in size)
        if self._compiled is None:
            self._compiled = height, width
        side = -(-self._long_side // SIZE_MULTIPLE) * SIZE_MULTIPLE
        return (height, width) if (height, width) == self._compiled else (side, side)


def pose_predictor(variant: str, variables: Variables, batch_size: int = 8) -> Predictor:
    """A predictor of COCO's joints by MoveNet; a joint's score is MoveNet's own, whatever the box's.

    Args:
      variant: "thunder" or "lightning".
      variables: of `MoveNet(variant)`.
      batch_size: persons estimated at once.

    Raises:
      InputError: another variant.
    """
    if variant not in ESTIMATORS:
        raise InputError(f"model {variant!r} is not known; use one of {', '.join(ESTIMATORS)}")
    model = MoveNet(variant)

    def estimate(variables: Variables, batch: ClipBatch) -> tuple[jax.Array, jax.Array]:
        keypoints, scores = decode_one(model.apply(variables, batch.frames[:, batch.frames.shape[1] // 2]))
        return to_image(keypoints, batch.transform), scores

    size = VARIANTS[variant].size
    options = dict(skeleton=COCO17.name, batch_size=batch_size, box_enlarge=ENLARGE)
    return Predictor(estimate, variables, input_size=size, delta=0, **options)

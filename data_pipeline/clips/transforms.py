"""From a clip in image pixels to crops: one affine for all its frames, drawn with the augmentations of the paper.

Everything random comes from the generator that is passed in, so that an example depends on its seed alone.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import apply_affine, box_to_center_scale, compose_affine, crop_affine, invert_affine
from jmpose_jax.skeletons import Skeleton

HALF_BODY_ENLARGE = 1.5


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What may happen to a training crop. A probability or size of 0 switches a part off.

    Attributes:
      rotation: standard deviation in degrees, and the bound that draws are clipped to.
      rotation_probability: of rotating at all.
      scale: standard deviation of the relative size of the region, and the bound.
      half_body_probability: of cropping to the upper or lower body ("truncation").
      half_body_min_joints: the person must have more annotated joints than this for it.
      flip_probability: of mirroring.
    """

    rotation: float = 45.0
    rotation_probability: float = 0.6
    scale: float = 0.35
    half_body_probability: float = 0.3
    half_body_min_joints: int = 8
    flip_probability: float = 0.5

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Augmentation":
        """The named values, the paper's for the rest.

        Raises:
          InputError: for a name that is not an attribute.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise InputError(f"augment.{name} is not known; the augmentations are {', '.join(names)}")
        return cls(**values)


def example_affine(
    box: np.ndarray,
    size: tuple[int, int],
    keypoints: np.ndarray,
    annotated: np.ndarray,
    skeleton: Skeleton,
    augmentation: Augmentation | None,
    rng: np.random.Generator | None,
    enlarge: float = 1.25,
) -> tuple[np.ndarray, bool]:
    """The affine of one example, augmented where a generator is given.

    Args:
      box: float [4], (x, y, width, height) in image pixels.
      size: (width, height) of the crop.
      keypoints: float [K, 2], image pixels, in the order of `skeleton`.
      annotated: float or bool [K].
      skeleton: tells which joints are of the upper body.
      augmentation: None for the plain crop of the box.
      rng: the example's own generator; needed with `augmentation`.
      enlarge: the crop's size over the box's.

    Returns:
      float64 [2, 3] from image to crop pixels, and whether it mirrors.
    """
    center, scale = box_to_center_scale(box, size[0] / size[1], enlarge)
    if augmentation is None or rng is None:
        return crop_affine(center, scale, size), False
    # All draws are made every time: switching one augmentation off leaves the others as they were.
    half, upper_draw, rotate, flip_draw = rng.random(4)
    scale_draw, rotation_draw = rng.standard_normal(2)
    if half < augmentation.half_body_probability and np.sum(annotated > 0) > augmentation.half_body_min_joints:
        body = half_body_box(keypoints, annotated, skeleton, upper_draw < 0.5)
        if body is not None:
            center, scale = box_to_center_scale(body, size[0] / size[1], HALF_BODY_ENLARGE)
    scale = scale * (1 + np.clip(scale_draw * augmentation.scale, -augmentation.scale, augmentation.scale))
    rotation = 0.0
    if rotate < augmentation.rotation_probability:
        rotation = np.clip(rotation_draw * augmentation.rotation, -augmentation.rotation, augmentation.rotation)
    affine = crop_affine(center, scale, size, rotation)
    flip = bool(flip_draw < augmentation.flip_probability)
    return (compose_affine(mirror_affine(size[0]), affine) if flip else affine), flip


def half_body_box(
    keypoints: np.ndarray, annotated: np.ndarray, skeleton: Skeleton, prefer_upper: bool
) -> np.ndarray | None:
    """The extent of the upper or lower body's joints, (x, y, width, height); None with fewer than 3 annotated.

    Of a skeleton that has no upper body, or nothing else, there are no halves.
    """
    if len(set(skeleton.upper_body)) in (0, skeleton.num_joints):
        return None
    upper = np.isin(np.arange(len(keypoints)), skeleton.upper_body)
    present = np.asarray(annotated) > 0
    for half in (upper, ~upper) if prefer_upper else (~upper, upper):
        points = keypoints[half & present]
        if len(points) >= 3:
            low, high = points.min(0), points.max(0)
            # Joints in one line still make a region.
            extent = np.maximum(high - low, 1.0)
            return np.concatenate([(low + high - extent) / 2, extent])
    return None


def mirror_affine(width: int) -> np.ndarray:
    """The mirror image of a crop `width` pixels wide: float64 [2, 3]."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def crop_keypoints(
    keypoints: np.ndarray,
    annotated: np.ndarray,
    affine: np.ndarray,
    size: tuple[int, int],
    flip_permutation: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Joints in crop pixels and their weights.

    Args:
      keypoints: float [K, 2], image pixels.
      annotated: float or bool [K].
      affine: [2, 3] from image to crop pixels.
      size: (width, height) of the crop.
      flip_permutation: [K], exchanges left and right; given where the affine mirrors.

    Returns:
      float32 [K, 2], zeros where a joint is not annotated, and float32 [K], 1 where it is annotated and in the crop.
    """
    points = apply_affine(affine, np.asarray(keypoints, np.float64))
    present = np.asarray(annotated) > 0
    if flip_permutation is not None:
        points, present = points[flip_permutation], present[flip_permutation]
    inside = np.all((points >= 0) & (points <= np.asarray(size) - 1), axis=1)
    return np.where(present[:, None], points, 0).astype(np.float32), (present & inside).astype(np.float32)


def warp_flow(
    flow: np.ndarray, image_size: tuple[int, int], affine: np.ndarray, size: tuple[int, int], stride: int
) -> np.ndarray:
    """A flow of the whole image as that of a crop: sampled at the crop's cells, its vectors turned and scaled.

    Args:
      flow: float32 [h, w, 2] in image pixels: the vectors of every n-th pixel from pixel (0, 0) on, with n = W / w.
      image_size: (W, H) of the image.
      affine: [2, 3] from image to crop pixels.
      size: (width, height) of the crop; multiples of `stride`.
      stride: crop pixels a cell of the result; a vector holds for the middle of its cell.

    Returns:
      float32 [height / stride, width / stride, 2], vectors in crop pixels; zero outside the image.
    """
    spacing = round(image_size[0] / flow.shape[1])
    inverse = invert_affine(affine)
    # Index of the result -> middle of its cell in crop pixels -> image pixel -> index into `flow`.
    middle = inverse[:, :2] @ np.full(2, (stride - 1) / 2) + inverse[:, 2]
    matrix = np.concatenate([inverse[:, :2] * stride, middle[:, None]], axis=1) / spacing
    cells = (size[0] // stride, size[1] // stride)
    sampled = cv2.warpAffine(flow, matrix, cells, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return (sampled @ np.asarray(affine)[:, :2].T.astype(np.float32)).astype(np.float32)


def mirror_flow(flow: np.ndarray) -> np.ndarray:
    """The flow of mirrored crops: columns in reverse and the x component negated; float32 [..., h, w, 2]."""
    return flow[..., ::-1, :] * np.asarray([-1, 1], np.float32)

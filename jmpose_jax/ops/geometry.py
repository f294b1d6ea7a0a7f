"""Boxes, centres and scales, and the affine between an image and a person's crop: NumPy, host side.

The numbers are those of the HRNet lineage: a box is widened to the aspect of the network's input, enlarged by a quarter
and mapped by a similarity onto the crop. Sizes are (width, height), coordinates (x, y) with pixel centres on integers.
"""

import cv2
import numpy as np

# The lineage stores a scale in units of 200 pixels; we keep the unit so that published box files mean the same.
SCALE_UNIT = 200.0
AFFINES = ("plain", "dark")


def box_to_center_scale(box: np.ndarray, aspect: float, enlarge: float = 1.25) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of the region to crop for a box.

    Args:
      box: float [..., 4], (x, y, width, height) in image pixels.
      aspect: width / height of the network's input; the shorter side grows to it.
      enlarge: factor on both sides for context.

    Returns:
      center: float64 [..., 2] in image pixels; scale: float64 [..., 2], (width, height) of the region in units of 200
      image pixels.
    """
    box = np.asarray(box, np.float64)
    width, height = box[..., 2], box[..., 3]
    width, height = np.maximum(width, height * aspect), np.maximum(height, width / aspect)
    scale = np.stack([width, height], axis=-1) * (enlarge / SCALE_UNIT)
    return box[..., :2] + box[..., 2:] / 2, scale


def crop_affine(
    center: np.ndarray, scale: np.ndarray, size: tuple[int, int], rotation: float = 0.0, kind: str = "plain"
) -> np.ndarray:
    """The affine from image pixels to crop pixels.

    Args:
      center: float [2], image pixels.
      scale: float [2], (width, height) in units of 200 image pixels; the width sets the magnification.
      size: (width, height) of the crop in pixels.
      rotation: degrees; the cropped region is the upright one turned by this angle (clockwise on the screen).
      kind: "plain" maps the centre to (width / 2, height / 2); "dark" treats width - 1 and height - 1 as the extents,
        as the DARK variant does, and maps the centre to ((width - 1) / 2, (height - 1) / 2).

    Returns:
      float64 [2, 3].

    Raises:
      ValueError: for an unknown `kind` or a region without width.
    """
    if kind not in AFFINES:
        raise ValueError(f"affine kind {kind!r}; the kinds are {', '.join(AFFINES)}")
    shrink = 1.0 if kind == "dark" else 0.0
    region_width = float(scale[0]) * SCALE_UNIT - shrink
    if not region_width > 0:
        raise ValueError(f"a region {region_width} pixels wide cannot be cropped")
    magnification = (size[0] - shrink) / region_width
    angle = np.deg2rad(rotation)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = magnification * np.array([[cos, sin], [-sin, cos]])
    target = (np.asarray(size, np.float64) - shrink) / 2
    return np.concatenate([linear, (target - linear @ np.asarray(center, np.float64))[:, None]], axis=1)


def box_affine(box: np.ndarray, size: tuple[int, int], enlarge: float = 1.25, kind: str = "plain") -> np.ndarray:
    """The affine from image pixels to the upright crop of a box: float64 [2, 3]."""
    center, scale = box_to_center_scale(box, size[0] / size[1], enlarge)
    return crop_affine(center, scale, size, kind=kind)


def invert_affine(affine: np.ndarray) -> np.ndarray:
    """The exact inverse of affines [..., 2, 3]: float64 [..., 2, 3]."""
    affine = np.asarray(affine, np.float64)
    linear = np.linalg.inv(affine[..., :2])
    return np.concatenate([linear, -linear @ affine[..., 2:]], axis=-1)


def apply_affine(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points by an affine.

    Args:
      affine: float [..., 2, 3], its leading axes broadcast against those of `points` without the last two.
      points: float [..., N, 2].

    Returns:
      float64 [..., N, 2].
    """
    affine = np.asarray(affine, np.float64)
    return points @ np.swapaxes(affine[..., :2], -1, -2) + affine[..., None, :, 2]


def compose_affine(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine that applies `first`, then `second`: float64 [2, 3]."""
    linear = second[:, :2] @ first[:, :2]
    return np.concatenate([linear, second[:, :2] @ first[:, 2:] + second[:, 2:]], axis=1)


def warp(image: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop an image: bilinear, black outside the image.

    Args:
      image: uint8 [H, W, C].
      affine: float [2, 3] from image pixels to crop pixels.
      size: (width, height) of the crop.

    Returns:
      uint8 [height, width, C].
    """
    return cv2.warpAffine(image, np.asarray(affine, np.float64), tuple(size), flags=cv2.INTER_LINEAR)

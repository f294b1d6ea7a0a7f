"""Things that pass in front of the people: posts, balls, panels, leaves."""

import dataclasses

import cv2
import numpy as np

from data_pipeline.synthetic.appearance import cloth_colour
from data_pipeline.synthetic.background import texture

_KERNEL_SAMPLES = 64
_SOLID = 128  # alpha from which a pixel counts as covered


@dataclasses.dataclass(frozen=True)
class Occluder:
    """A flat thing that moves across the image.

    Attributes:
      image: float32 [h, w, 4], RGB times alpha, and alpha 0..1, with a transparent rim.
      corner: float [2], pixels of its top left corner at moment 0.
      velocity: float [2], pixels a frame.
    """

    image: np.ndarray
    corner: np.ndarray
    velocity: np.ndarray

    def at(self, moment: float) -> np.ndarray:
        """Top left corner at a moment in frames from the middle of the video."""
        return self.corner + self.velocity * moment


def random_occluder(
    rng: np.random.Generator,
    target: np.ndarray,
    moment: float,
    speed: tuple[float, float],
    width: tuple[float, float],
    image_height: int,
) -> Occluder:
    """Draws an occluder that is in front of a point at a moment.

    Args:
      rng: source of all its traits.
      target: float [2], pixels.
      moment: in frames from the middle of the video.
      speed: range, pixels a frame.
      width: range, pixels.
      image_height: pixels; posts reach over all of it.

    Returns:
      The occluder.
    """
    kind = rng.choice(["post", "ball", "panel", "leaf"], p=[0.45, 0.2, 0.25, 0.1])
    wide = int(rng.uniform(*width))
    tall = {
        "post": image_height + 40,
        "ball": int(wide * rng.uniform(0.85, 1.3)),
        "panel": int(rng.uniform(40, 130)),
        "leaf": int(wide * rng.uniform(1.5, 3.0)),
    }[kind]
    image = np.zeros((tall + 2, wide + 2, 4), np.float32)
    colour = texture(rng, wide, tall, cloth_colour(rng), cloth_colour(rng)).astype(np.float32)
    across = np.linspace(-1, 1, wide)[None, :, None]
    side = rng.choice([-1, 1])
    if kind == "ball":
        up = np.linspace(-1, 1, tall)[:, None, None]
        colour *= np.clip(1.15 - 0.45 * ((across + 0.4 * side) ** 2 + (up + 0.4) ** 2), 0.35, 1.15)
    else:
        colour *= 0.85 + 0.2 * side * across - (0.25 * across**2 if kind == "post" else 0)
    mask = np.zeros((tall, wide), np.uint8)
    if kind in ("ball", "leaf"):
        centre = (8 * (wide - 1), 8 * (tall - 1))
        cv2.ellipse(mask, centre, (8 * wide - 4, 8 * tall - 4), 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    else:
        mask[:] = 255
    alpha = mask.astype(np.float32)[..., None] / 255
    image[1:-1, 1:-1] = np.concatenate([np.clip(colour, 0, 255) * alpha, alpha], -1)
    velocity = np.array([rng.uniform(*speed) * rng.choice([-1, 1]), 0.0])
    corner = target + rng.normal(0, [28, 0]) - np.array([wide / 2, tall / 2])
    if kind == "post":
        corner[1] = -20
    else:
        velocity[1] = rng.normal(0, 5)
        corner[1] += rng.uniform(-10, 90)
    return Occluder(image, corner - velocity * moment, velocity)


def smeared(image: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An occluder's image as a straight motion during the exposure blurs it.

    Args:
      image: float32 [h, w, 4].
      way: float [2], pixels travelled.

    Returns:
      float32 [h + 2b, w + 2a, 4] and float [2], the displacement (-a, -b) of its corner.
    """
    length = float(np.hypot(*way))
    if length < 1:
        return image, np.zeros(2)
    pad = np.ceil(np.abs(way) / 2).astype(int) + 1
    kernel = np.zeros((2 * pad[1] + 1, 2 * pad[0] + 1), np.float32)
    share = (np.arange(_KERNEL_SAMPLES) + 0.5) / _KERNEL_SAMPLES - 0.5
    points = pad + share[:, None] * way
    whole = np.floor(points).astype(int)
    right, down = (points - whole).T
    for x, y, weight in ((0, 0, (1 - right) * (1 - down)), (1, 0, right * (1 - down)), (0, 1, (1 - right) * down),
                         (1, 1, right * down)):  # fmt: skip
        np.add.at(kernel, (whole[:, 1] + y, whole[:, 0] + x), weight)
    padded = cv2.copyMakeBorder(image, pad[1], pad[1], pad[0], pad[0], cv2.BORDER_CONSTANT)
    return cv2.filter2D(padded, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT), -pad.astype(float)


def stamp(image: np.ndarray, cover: np.ndarray, corner: np.ndarray) -> None:
    """Lays a cover over an image at a corner with a fraction of a pixel.

    Args:
      image: float32 [H, W, 3], changed in place.
      cover: float32 [h, w, 4], RGB times alpha, and alpha.
      corner: float [2], pixels.
    """
    whole = np.floor(corner).astype(int)
    target, source = _overlap(image.shape, (cover.shape[0] + 1, cover.shape[1] + 1), whole)
    if target is None:
        return
    shift = np.array([[1, 0, corner[0] - whole[0]], [0, 1, corner[1] - whole[1]]])
    moved = cv2.warpAffine(cover, shift, (cover.shape[1] + 1, cover.shape[0] + 1), flags=cv2.INTER_LINEAR)[source]
    image[target] *= 1 - moved[..., 3:]
    image[target] += moved[..., :3]


def stamp_label(labels: np.ndarray, occluder: Occluder, moment: float, label: int) -> None:
    """Marks an occluder's pixels in a label map."""
    corner = np.round(occluder.at(moment)).astype(int)
    target, source = _overlap(labels.shape, occluder.image.shape, corner)
    if target is not None:
        labels[target][occluder.image[source][..., 3] * 255 >= _SOLID] = label


def _overlap(shape, size, corner):
    x, y = corner
    top, left = max(0, y), max(0, x)
    bottom, right = min(shape[0], y + size[0]), min(shape[1], x + size[1])
    if top >= bottom or left >= right:
        return None, None
    return np.s_[top:bottom, left:right], np.s_[top - y : bottom - y, left - x : right - x]

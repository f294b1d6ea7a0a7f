"""Person crops of a window: one affine, that of the key frame's box, for all frames."""

import numpy as np

from jmpose_jax.ops.geometry import box_affine, invert_affine, warp


def clip_crops(
    frames: tuple[np.ndarray, ...], box: np.ndarray, size: tuple[int, int], enlarge: float = 1.25
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a person out of every frame of a window.

    Args:
      frames: T images, uint8 RGB [H, W, 3] of one size.
      box: float [4], (x, y, width, height) in the key frame's pixels.
      size: (height, width) of the crop.
      enlarge: the crop's size over the box's.

    Returns:
      crops: uint8 [T, height, width, 3]; a repeated frame is warped once.
      transform: float32 [2, 3], affine from crop pixels to image pixels.
    """
    affine = box_affine(box, (size[1], size[0]), enlarge)
    warped: dict[int, np.ndarray] = {}
    for frame in frames:
        if id(frame) not in warped:
            warped[id(frame)] = warp(frame, affine, (size[1], size[0]))
    crops = np.stack([warped[id(frame)] for frame in frames])
    return crops, invert_affine(affine).astype(np.float32)

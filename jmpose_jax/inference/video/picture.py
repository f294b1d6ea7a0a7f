"""Decoded pictures as arrays: upright, and of one size."""

import struct
from typing import Any

import cv2
import numpy as np


def upright(picture: Any) -> np.ndarray:
    """The picture as uint8 RGB [H, W, 3], turned as the file says it is to be shown.

    Args:
      picture: `av.VideoFrame`.
    """
    image = picture.to_ndarray(format="rgb24")
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    numbers = struct.unpack("9i", bytes(matrix))
    # A pixel (x, y) is shown at (a·x + c·y, b·x + d·y); other than quarter turns and mirrors there is nothing in use.
    a, b, c, d = numbers[0], numbers[1], numbers[3], numbers[4]
    if a and d and not b and not c:
        rows, columns = d, a
    elif b and c and not a and not d:
        image, rows, columns = image.swapaxes(0, 1), b, c
    else:
        return image
    return np.ascontiguousarray(image[:: 1 if rows > 0 else -1, :: 1 if columns > 0 else -1])


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image scaled into a size, its shape kept, black beside it.

    Args:
      image: uint8 RGB [H, W, 3].
      size: (width, height) in pixels.

    Returns:
      uint8 [height, width, 3].
    """
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    width, height = (max(round(side * scale), 1) for side in (image.shape[1], image.shape[0]))
    width, height = min(width, size[0]), min(height, size[1])
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=method)
    return canvas

"""Many pictures as one, with captions."""

from collections.abc import Sequence

import cv2
import numpy as np

from jmpose_jax.inference.drawing import FONT


def panel(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[Sequence[str]] | Sequence[str] | None = None,
    *,
    cell: tuple[int, int] = (256, 192),
    gap: int = 8,
    background: int = 255,
) -> np.ndarray:
    """Tile images with captions above them.

    Args:
      rows: images uint8 RGB by row and column; each is scaled into a cell, its shape kept. Rows may differ in length.
      captions: one for each image, or one list for the columns, written above the first row.
      cell: (height, width) of an image's place.
      gap: pixels between cells.
      background: grey level.

    Returns:
      uint8 RGB image.
    """
    rows = [list(row) for row in rows]
    columns = max((len(row) for row in rows), default=0)
    if captions and isinstance(captions[0], str):
        captions = [captions]
    titles = [list(captions[i]) if captions and i < len(captions) else [] for i in range(len(rows))]
    head = [22 if any(title) else 0 for title in titles]
    height = sum(cell[0] + h + gap for h in head) + gap
    canvas = np.full((height, columns * (cell[1] + gap) + gap, 3), background, np.uint8)
    ink = (25, 25, 25) if background > 127 else (235, 235, 235)
    top = gap
    for row, title, extra in zip(rows, titles, head):
        for column, image in enumerate(row):
            left = gap + column * (cell[1] + gap)
            if column < len(title):
                _caption(canvas, title[column], (left, top + extra - 7), cell[1], ink)
            scale = min(cell[0] / image.shape[0], cell[1] / image.shape[1])
            size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            y, x = top + extra + (cell[0] - size[1]) // 2, left + (cell[1] - size[0]) // 2
            canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=method)
        top += cell[0] + extra + gap
    return canvas


def _caption(canvas: np.ndarray, text: str, origin: tuple[int, int], width: int, ink: tuple[int, int, int]) -> None:
    """Write text in place, made smaller where it would be wider than its cell."""
    text_width = cv2.getTextSize(text, FONT, 0.45, 1)[0][0]
    scale = 0.45 * min(1.0, width / max(text_width, 1))
    cv2.putText(canvas, text, origin, FONT, scale, ink, 1, cv2.LINE_AA)

"""Pictures of poses, boxes, heatmaps and flow, as uint8 RGB images; arguments are left as they are."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from jmpose_jax.skeletons import POSETRACK15, Skeleton

# OpenCV draws anti-aliased shapes at coordinates with this many fractional bits.
SHIFT = 4
FONT = cv2.FONT_HERSHEY_DUPLEX
OUTLINE = (18, 18, 18)
OUTLINE_OPACITY = 0.8

# The sides of the body differ in hue, so that a swap of left and right shows.
SIDE_COLORS = {"left": (255, 138, 30), "right": (52, 160, 255), "middle": (250, 236, 80)}
TRACK_COLORS = tuple(
    tuple(round(255 * v) for v in colorsys.hsv_to_rgb((0.33 + i * 0.618034) % 1.0, 0.55 + 0.25 * (i % 2), 1.0))
    for i in range(24)
)


def track_color(track_id: int | None) -> tuple[int, ...]:
    """The RGB colour of an identity; grey where there is none."""
    return (190, 190, 190) if track_id is None or track_id < 0 else TRACK_COLORS[track_id % len(TRACK_COLORS)]


def joint_color(skeleton: Skeleton, joint: int) -> tuple[int, int, int]:
    """The RGB colour of the side of the body that a joint belongs to."""
    return SIDE_COLORS.get(skeleton.joints[joint].split("_")[0], SIDE_COLORS["middle"])


def limb_color(skeleton: Skeleton, limb: tuple[int, int]) -> tuple[int, int, int]:
    """The RGB colour of a limb: its side's, or the middle's where it joins the two."""
    a, b = (joint_color(skeleton, joint) for joint in limb)
    return a if a == b else SIDE_COLORS["middle"]


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    skeleton: Skeleton = POSETRACK15,
    threshold: float = 0.1,
    height: float | None = None,
) -> np.ndarray:
    """Draw the limbs and joints of one person, coloured by side, on a dark outline.

    Args:
      image: uint8 RGB [H, W, 3].
      keypoints: float [K, 2], pixels.
      scores: float [K]; a joint fades with its score and is left out below `threshold`. None draws all in full.
      skeleton: joint names and limbs.
      threshold: least score drawn.
      height: of the person in pixels, for the width of the lines; the joints' extent by default.

    Returns:
      uint8 RGB [H, W, 3].
    """
    image = image.copy()
    keypoints = np.asarray(keypoints, np.float64)
    scores = np.ones(len(keypoints)) if scores is None else np.asarray(scores, np.float64)
    visible = (scores >= threshold) & np.isfinite(keypoints).all(axis=1)
    if not visible.any():
        return image
    if height is None:
        height = float(np.ptp(keypoints[visible], axis=0).max())
    width = int(np.clip(round(height / 55), 1, 7))
    opacity = np.clip(0.45 + 0.9 * scores, 0.0, 1.0)
    # On small persons a full outline would hide the colours.
    outline = OUTLINE_OPACITY if width > 2 else 0.6 * OUTLINE_OPACITY
    limbs = [limb for limb in skeleton.limbs if visible[list(limb)].all()]
    for limb in limbs:
        _line(image, *keypoints[list(limb)], OUTLINE, width + 2, outline * opacity[list(limb)].min())
    for limb in limbs:
        _line(image, *keypoints[list(limb)], limb_color(skeleton, limb), width, opacity[list(limb)].min())
    radius = 0.7 + 0.8 * width
    for joint in np.flatnonzero(visible):
        _disc(image, keypoints[joint], radius + 0.9, OUTLINE, outline * opacity[joint])
        _disc(image, keypoints[joint], radius, joint_color(skeleton, joint), opacity[joint])
        if width > 2:
            _disc(image, keypoints[joint], 0.45 * radius, (255, 255, 255), opacity[joint])
    return image


def draw_box(image: np.ndarray, box: np.ndarray, track_id: int | None = None) -> np.ndarray:
    """Draw a thin box with its identity on a tab.

    Args:
      image: uint8 RGB [H, W, 3].
      box: float [4], (x, y, width, height) in pixels.
      track_id: gives the colour and stands on the tab; None draws neither.

    Returns:
      uint8 RGB [H, W, 3].
    """
    image, color = image.copy(), track_color(track_id)
    x, y, width, height = (float(v) for v in box)
    thickness = 2 if max(image.shape[:2]) > 900 else 1
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    for shade, extra in ((OUTLINE, 2), (color, 0)):
        cv2.polylines(image, [_fixed(corners)], True, shade, thickness + extra, cv2.LINE_AA, SHIFT)
    if track_id is not None and track_id >= 0:
        draw_label(image, str(track_id), (x, y), color)
    return image


def draw_label(image: np.ndarray, text: str, corner: tuple[float, float], color: tuple[int, ...]) -> None:
    """Write dark text on a coloured tab that stands on `corner` (its lower left), kept inside the image, in place."""
    scale = float(np.clip(max(image.shape[:2]) / 1900, 0.36, 0.8))
    (width, height), _ = cv2.getTextSize(text, FONT, scale, 1)
    left = int(np.clip(corner[0], 0, max(image.shape[1] - width - 7, 0)))
    bottom = int(np.clip(corner[1], height + 6, image.shape[0] - 1))
    cv2.rectangle(image, (left, bottom - height - 6), (left + width + 6, bottom), color, -1)
    cv2.putText(image, text, (left + 3, bottom - 3), FONT, scale, OUTLINE, 1, cv2.LINE_AA)


def draw_people(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    boxes: np.ndarray | None = None,
    track_ids: np.ndarray | None = None,
    *,
    skeleton: Skeleton = POSETRACK15,
    threshold: float = 0.1,
) -> np.ndarray:
    """Draw the N persons of a frame: boxes first, then poses, those lower in the picture (nearer) last.

    Args:
      image: uint8 RGB [H, W, 3].
      keypoints: float [N, K, 2]; scores: float [N, K].
      boxes: float [N, 4] or None.
      track_ids: int [N] or None.
      skeleton, threshold: as in `draw_pose`.

    Returns:
      uint8 RGB [H, W, 3].
    """
    order = np.argsort(keypoints[..., 1].max(axis=1)) if len(keypoints) else []
    if boxes is not None:
        for n in order:
            image = draw_box(image, boxes[n], None if track_ids is None else int(track_ids[n]))
    for n in order:
        height = None if boxes is None else float(boxes[n][3])
        image = draw_pose(image, keypoints[n], scores[n], skeleton=skeleton, threshold=threshold, height=height)
    return image


def heatmap_overlay(
    image: np.ndarray, heatmap: np.ndarray, opacity: float = 0.75, peak: float | None = None
) -> np.ndarray:
    """Lay heatmaps over a crop: the picture turns grey, the maximum over the joints glows on it.

    Args:
      image: uint8 RGB [H, W, 3].
      heatmap: float [h, w] or [h, w, K], of any stride that fits the image.
      opacity: of the highest value.
      peak: the value shown at full strength; the maximum by default, at least 1e-6.

    Returns:
      uint8 RGB [H, W, 3].
    """
    heat = np.asarray(heatmap, np.float32)
    heat = heat.max(axis=-1) if heat.ndim == 3 else heat
    heat = np.clip(heat / max(float(heat.max()) if peak is None else peak, 1e-6), 0, 1)
    height, width = image.shape[:2]
    stride = width / heat.shape[1]
    # A heatmap's pixel i lies on the crop's pixel stride · i, which a plain resize would shift by half a cell.
    affine = np.array([[stride, 0, 0], [0, height / heat.shape[0], 0]], np.float64)
    heat = cv2.warpAffine(heat, affine, (width, height), flags=cv2.INTER_LINEAR)
    glow = cv2.applyColorMap(np.round(255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    gray = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1) * 0.8
    weight = opacity * np.sqrt(heat)[..., None]
    return np.clip((1 - weight) * gray + weight * glow, 0, 255).round().astype(np.uint8)


def flow_to_color(flow: np.ndarray, limit: float | None = None) -> np.ndarray:
    """Show a flow field: direction as hue, length as saturation on white.

    Args:
      flow: float [H, W, 2], (x, y).
      limit: the length shown in full colour; the 99th percentile by default, at least half a pixel.

    Returns:
      uint8 RGB [H, W, 3].
    """
    flow = np.asarray(flow, np.float32)
    length = np.hypot(flow[..., 0], flow[..., 1])
    if limit is None:
        limit = max(float(np.percentile(length, 99)), 0.5)
    angle = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    # For float images OpenCV's hue is in degrees, saturation and value in 0..1.
    hsv = np.stack([angle, np.clip(length / limit, 0, 1), np.ones_like(length)], axis=-1).astype(np.float32)
    return np.round(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


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


def _fixed(points: np.ndarray) -> np.ndarray:
    # Far outside the image the fixed-point numbers would overflow; the line's direction hardly changes.
    return np.round(np.clip(points, -20_000, 20_000) * (1 << SHIFT)).astype(np.int32)


def _region(image: np.ndarray, points: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that a shape around the points can touch, and its upper left corner."""
    size = [image.shape[1], image.shape[0]]
    low = np.clip(np.floor(points.min(axis=0) - margin), 0, size).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + margin) + 1, 0, size).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], low


def _line(image: np.ndarray, a: np.ndarray, b: np.ndarray, color: tuple, width: int, opacity: float) -> None:
    region, corner = _region(image, np.stack([a, b]), width + 2)
    if region.size:
        layer = region.copy()
        start, end = (tuple(int(v) for v in _fixed(point - corner)) for point in (a, b))
        cv2.line(layer, start, end, color, width, cv2.LINE_AA, SHIFT)
        region[:] = cv2.addWeighted(layer, opacity, region, 1 - opacity, 0)


def _disc(image: np.ndarray, center: np.ndarray, radius: float, color: tuple, opacity: float) -> None:
    region, corner = _region(image, center[None], radius + 2)
    if region.size:
        layer = region.copy()
        place = tuple(int(v) for v in _fixed(center - corner))
        cv2.circle(layer, place, round(radius * (1 << SHIFT)), color, -1, cv2.LINE_AA, SHIFT)
        region[:] = cv2.addWeighted(layer, opacity, region, 1 - opacity, 0)

"""Pictures of poses, boxes, heatmaps and flow, as uint8 RGB images; arguments are left as they are."""

import colorsys
import functools
import math
from collections.abc import Callable, Collection, Sequence

import cv2
import numpy as np

from jmpose_jax.skeletons import POSETRACK15, Skeleton

Point = Sequence[float]  # (x, y)

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


@functools.cache
def joint_color(skeleton: Skeleton, joint: int) -> tuple[int, int, int]:
    """The RGB colour of the side of the body that a joint belongs to."""
    return SIDE_COLORS.get(skeleton.joints[joint].split("_")[0], SIDE_COLORS["middle"])


@functools.cache
def limb_color(skeleton: Skeleton, limb: tuple[int, int]) -> tuple[int, int, int]:
    """The RGB colour of a limb: its side's, or the middle's where it joins the two."""
    a, b = (joint_color(skeleton, joint) for joint in limb)
    return a if a == b else SIDE_COLORS["middle"]


@functools.cache
def neck(skeleton: Skeleton) -> tuple[int, int, int] | None:
    """The joints (upper end, left shoulder, right shoulder) of a line that no data set lists: head to shoulders.

    The upper end is the neck, or the nose of a skeleton without one; the lower end is the middle of the shoulders.
    """
    upper = next((joint for joint in ("head_bottom", "nose") if joint in skeleton.joints), None)
    joints = (upper, "left_shoulder", "right_shoulder")
    if not all(joint in skeleton.joints for joint in joints):
        return None
    return tuple(skeleton.index(joint) for joint in joints)


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
    _pose(image, keypoints, scores, skeleton, threshold, height)
    return image


def _pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray | None,
    skeleton: Skeleton,
    threshold: float,
    height: float | None,
) -> None:
    """`draw_pose` in place. Plain numbers: an array for each of two numbers would take three times as long."""
    keypoints = np.asarray(keypoints, np.float64)
    scores = np.ones(len(keypoints)) if scores is None else np.asarray(scores, np.float64)
    seen = (scores >= threshold) & np.isfinite(keypoints).all(axis=1)
    if not seen.any():
        return
    if height is None:
        height = float(np.ptp(keypoints[seen], axis=0).max())
    width = min(max(round(height / 55), 1), 7)
    visible = seen.tolist()
    points = keypoints.tolist()
    opacity = np.clip(0.45 + 0.9 * scores, 0.0, 1.0).tolist()
    # On small persons a full outline would hide the colours.
    outline = OUTLINE_OPACITY if width > 2 else 0.6 * OUTLINE_OPACITY
    lines = [
        (points[a], points[b], limb_color(skeleton, (a, b)), min(opacity[a], opacity[b]))
        for a, b in skeleton.limbs
        if visible[a] and visible[b]
    ]
    ends = neck(skeleton)
    if ends and all(visible[joint] for joint in ends):
        upper, left, right = (points[joint] for joint in ends)
        middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
        lines.append((upper, middle, SIDE_COLORS["middle"], min(opacity[joint] for joint in ends)))
    for a, b, _, sure in lines:
        _line(image, a, b, OUTLINE, width + 2, outline * sure)
    for a, b, color, sure in lines:
        _line(image, a, b, color, width, sure)
    radius = 0.7 + 0.8 * width
    for joint, point in enumerate(points):
        if visible[joint]:
            _disc(image, point, radius + 0.9, OUTLINE, outline * opacity[joint])
            _disc(image, point, radius, joint_color(skeleton, joint), opacity[joint])
            if width > 2:
                _disc(image, point, 0.45 * radius, (255, 255, 255), opacity[joint])


def draw_box(image: np.ndarray, box: np.ndarray, track_id: int | None = None) -> np.ndarray:
    """Draw a thin box with its identity on a tab.

    Args:
      image: uint8 RGB [H, W, 3].
      box: float [4], (x, y, width, height) in pixels.
      track_id: gives the colour and stands on the tab; None draws neither.

    Returns:
      uint8 RGB [H, W, 3].
    """
    image = image.copy()
    _box(image, box, track_id)
    if track_id is not None and track_id >= 0:
        _id(image, box, track_id)
    return image


def _box(image: np.ndarray, box: np.ndarray, track_id: int | None) -> None:
    x, y, width, height = (float(v) for v in box)
    thickness = 2 if max(image.shape[:2]) > 900 else 1
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    for shade, extra in ((OUTLINE, 2), (track_color(track_id), 0)):
        cv2.polylines(image, [_fixed(corners)], True, shade, thickness + extra, cv2.LINE_AA, SHIFT)


def _id(image: np.ndarray, box: np.ndarray, track_id: int) -> None:
    draw_label(image, str(track_id), (float(box[0]), float(box[1])), track_color(track_id))


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
    parts: Collection[str] = ("boxes", "ids"),
) -> np.ndarray:
    """Draw the N persons of a frame: boxes first, then poses, those lower in the picture (nearer) last.

    Args:
      image: uint8 RGB [H, W, 3].
      keypoints: float [N, K, 2]; scores: float [N, K].
      boxes: float [N, 4] or None. Lines are as wide as the height of the box demands.
      track_ids: int [N] or None.
      skeleton, threshold: as in `draw_pose`.
      parts: of "boxes" and "ids", what is drawn beside the poses where it is given.

    Returns:
      uint8 RGB [H, W, 3].
    """
    image = image.copy()
    order = np.argsort(keypoints[..., 1].max(axis=1)).tolist() if len(keypoints) else []
    for n in order if boxes is not None else ():
        track_id = None if track_ids is None else int(track_ids[n])
        if "boxes" in parts:
            _box(image, boxes[n], track_id)
        if "ids" in parts and track_id is not None and track_id >= 0:
            # Without its box a tab stands over the person's middle.
            _id(image, boxes[n] if "boxes" in parts else boxes[n] + np.array([boxes[n][2] / 2, 0, 0, 0]), track_id)
    for n in order:
        height = None if boxes is None else float(boxes[n][3])
        _pose(image, keypoints[n], scores[n], skeleton, threshold, height)
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


def _fixed(points: np.ndarray) -> np.ndarray:
    # Far outside the image the fixed-point numbers would overflow; the line's direction hardly changes.
    return np.round(np.clip(points, -20_000, 20_000) * (1 << SHIFT)).astype(np.int32)


def _blend(
    image: np.ndarray,
    draw: Callable[[np.ndarray, Callable[[Point], Point]], None],
    points: Sequence[Point],
    margin: float,
    opacity: float,
) -> None:
    """Draw a shape with an opacity, in place, on the part of the image that it can touch."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right = _span(min(xs) - margin, max(xs) + margin, image.shape[1])
    top, bottom = _span(min(ys) - margin, max(ys) + margin, image.shape[0])
    if left >= right or top >= bottom:
        return
    region = image[top:bottom, left:right]
    layer = region.copy()
    draw(layer, lambda point: (_tick(point[0] - left), _tick(point[1] - top)))
    cv2.addWeighted(layer, opacity, region, 1 - opacity, 0, dst=layer)
    region[:] = layer


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """The pixels between two coordinates that lie in an image of this size."""
    return int(min(max(math.floor(low), 0), size)), int(min(max(math.ceil(high) + 1, 0), size))


def _tick(value: float) -> int:
    # As `_fixed`, for one number.
    return round(min(max(value, -20_000), 20_000) * (1 << SHIFT))


def _line(image: np.ndarray, a: Point, b: Point, color: tuple, width: int, opacity: float) -> None:
    def draw(layer: np.ndarray, place: Callable[[Point], Point]) -> None:
        cv2.line(layer, place(a), place(b), color, width, cv2.LINE_AA, SHIFT)

    _blend(image, draw, (a, b), width + 2, opacity)


def _disc(image: np.ndarray, center: Point, radius: float, color: tuple, opacity: float) -> None:
    def draw(layer: np.ndarray, place: Callable[[Point], Point]) -> None:
        cv2.circle(layer, place(center), round(radius * (1 << SHIFT)), color, -1, cv2.LINE_AA, SHIFT)

    _blend(image, draw, (center,), radius + 2, opacity)

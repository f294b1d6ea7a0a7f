"""Painting people: shaded polygons in the order of depth, and the label map of the same outlines."""

import dataclasses

import cv2
import numpy as np

from data_pipeline.synthetic.appearance import Appearance
from data_pipeline.synthetic.body import POINT
from data_pipeline.synthetic.parts import LIMB, LIMBS, NUM_PARTS, TORSO, PersonGeometry, TorsoGeometry

_SHIFT = 4  # cv2 takes polygon corners in 1/16 pixels
# From the dark rim to the highlight: (share of the width, displacement towards the light, brightness).
_TONES = ((1.0, 0.0, 0.62), (0.88, 0.06, 0.78), (0.66, 0.16, 0.93), (0.4, 0.28, 1.05))
_FACE_TONES = ((1.0, 0.0, 0.84), (0.84, 0.1, 0.95), (0.5, 0.25, 1.05))
# Limbs that another limb continues: their light parts reach to the very end, or every joint would show a dark seam.
_CONTINUED = np.array([any(n in limb.name for n in ("thigh", "shank", "arm", "neck")) for limb in LIMBS])
_COVER_TONES = _TONES[:3]
_FRONTAL_TONES = ((1.0, 0.0, 0.85), (0.7, 0.15, 1.0))
_ROUND = np.linspace(-np.pi / 2, np.pi / 2, 6, dtype=np.float32)
_TORSO_LEVELS = np.array([-0.02, 0.12, 0.28, 0.45, 0.65, 0.82, 0.93, 1.0, 1.05, 1.1])
_PELVIS_LEVELS = np.array([-0.15, -0.11, -0.06, 0.0, 0.07])


@dataclasses.dataclass(frozen=True)
class Fill:
    """A polygon of one colour at F moments.

    Attributes:
      corners: int32 [F, N, 2], 1/16 pixels.
      colour: RGB.
      convex: convex polygons are drawn faster.
      shown: bool [F], or None where it is always drawn.
    """

    corners: np.ndarray
    colour: tuple[float, float, float]
    convex: bool = True
    shown: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Piece:
    """One part of a person.

    Attributes:
      label: of its pixels in the label map.
      depth: float [F].
      fills: in drawing order; the first `outlines` of them make up the part's area.
      outlines: how many fills the label map takes.
    """

    label: int
    depth: np.ndarray
    fills: tuple[Fill, ...]
    outlines: int = 1


def person_label(person: int, part: int) -> int:
    """Value of a person's part in the label map; 0 is the background, occluders count down from 255."""
    return 1 + person * NUM_PARTS + part


def person_pieces(
    person: int, geometry: PersonGeometry, look: Appearance, light: np.ndarray, outlines_only: bool = False
) -> list[Piece]:
    """Everything to draw of a person at F moments.

    Args:
      person: index of the person in the scene.
      geometry: the projected parts.
      look: colours and clothes.
      light: float [2], unit vector in the image towards the light.
      outlines_only: leaves out what the label map does not need.

    Returns:
      The pieces, in no particular order.
    """
    requests = [[] for _ in LIMBS]  # (limb, span, widen, tone, colour, shown) in drawing order
    frontal = geometry.point_depth[:, POINT["brow"]] < geometry.point_depth[:, POINT["crown"]] - 0.035
    for index, limb in enumerate(LIMBS):
        if limb.name == "hair" and not look.long_hair:
            continue
        tones = _FACE_TONES if limb.name == "face" else _TONES
        requests[index] += [(index, limb.span, 1.0, tone, look.limb_colours[index], None) for tone in tones]
    if outlines_only:
        requests = [of_limb[:1] for of_limb in requests]
    for cover in () if outlines_only else look.covers:
        tones, shown = (_FRONTAL_TONES, frontal) if cover.frontal else (_COVER_TONES, None)
        requests[cover.limb] += [(cover.limb, cover.span, cover.widen, tone, cover.colour, shown) for tone in tones]
    flat = [request for of_limb in requests for request in of_limb]
    corners = _capsules(geometry, flat, light)
    fills = [
        Fill(corners[:, i], _shaded(colour, tone[2]), shown=shown)
        for i, (_, _, _, tone, colour, shown) in enumerate(flat)
    ]
    pieces, taken = [], 0
    for index, of_limb in enumerate(requests):
        own = fills[taken : taken + len(of_limb)]
        taken += len(of_limb)
        if LIMBS[index].name == "face" and not outlines_only:
            own += _eyes(geometry)
        if own:
            pieces.append(Piece(person_label(person, index), geometry.depth[:, index], tuple(own)))
    torso = _torso_fills(geometry, look, light, outlines_only)
    pieces.append(Piece(person_label(person, TORSO), geometry.depth[:, TORSO], torso, outlines=2))
    return pieces


def paint(image: np.ndarray, pieces: list[Piece], moment: int) -> None:
    """Paints the pieces over an RGB image, far ones first, at one of their moments."""
    for index in np.argsort([-piece.depth[moment] for piece in pieces], kind="stable"):
        for fill in pieces[index].fills:
            if fill.shown is not None and not fill.shown[moment]:
                continue
            if fill.convex:
                cv2.fillConvexPoly(image, fill.corners[moment], fill.colour, cv2.LINE_AA, _SHIFT)
            else:
                cv2.fillPoly(image, [fill.corners[moment]], fill.colour, cv2.LINE_AA, _SHIFT)


def label_map(shape: tuple[int, int], pieces: list[Piece], moment: int) -> np.ndarray:
    """Which part covers which pixel, uint8 [H, W]."""
    labels = np.zeros(shape, np.uint8)
    for index in np.argsort([-piece.depth[moment] for piece in pieces], kind="stable"):
        piece = pieces[index]
        for fill in piece.fills[: piece.outlines]:
            draw = cv2.fillConvexPoly if fill.convex else _fill_poly
            draw(labels, fill.corners[moment], piece.label, cv2.LINE_8, _SHIFT)
    return labels


def _fill_poly(image, corners, *rest):
    cv2.fillPoly(image, [corners], *rest)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(np.clip(points, -2000, 2000) * (1 << _SHIFT)).astype(np.int32)


def _shaded(colour, brightness):
    return tuple(min(brightness * channel, 255.0) for channel in colour.tolist())


def _capsules(geometry: PersonGeometry, requests: list, light: np.ndarray) -> np.ndarray:
    """All capsules of a person at once: int32 [F, len(requests), N, 2]."""
    limb = np.array([request[0] for request in requests])
    span = np.array([request[1] for request in requests])
    widen = np.array([request[2] for request in requests])
    width, shift, _ = np.array([request[3] for request in requests]).T
    # Single precision is far finer than the 1/16 pixels of the corners, and twice as fast.
    span, widen, width, shift, light = (np.float32(v) for v in (span, widen, width, shift, light))
    start, end, start_radius, end_radius = (
        values[:, limb].astype(np.float32)
        for values in (geometry.start, geometry.end, geometry.start_radius, geometry.end_radius)
    )
    along = end - start
    length = np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-3)
    axis = along / length
    normal = np.stack([-axis[..., 1], axis[..., 0]], -1)
    # A limb that points at the camera has no lit side, so the displacement fades with its apparent length.
    lit = (normal @ light)[..., None] * normal + 0.4 * (axis @ light)[..., None] * axis
    slender = np.minimum(1, length[..., 0] / (start_radius + end_radius)) * _CONTINUED[limb]
    stretch = width + (1 - width) * slender
    rings = []
    for side, turn in ((1, 0.0), (0, np.pi)):
        share = span[:, side]
        radius = widen * (start_radius + (end_radius - start_radius) * np.clip(share, -0.5, 1.5))
        centre = start + along * share[:, None] + lit * (shift * radius)[..., None]
        angle = _ROUND + np.float32(turn)
        along_rim = (stretch * radius)[..., None, None] * np.cos(angle)[:, None] * axis[..., None, :]
        across_rim = (width * radius)[..., None, None] * np.sin(angle)[:, None] * normal[..., None, :]
        rings.append(centre[..., None, :] + along_rim + across_rim)
    return _fixed(np.concatenate(rings, -2))


def _torso_outlines(torso: TorsoGeometry, levels: np.ndarray, tones: tuple, lit: np.ndarray) -> np.ndarray:
    """A stretch of the torso, up one side, down the other: int32 [F, len(tones), 2 * len(levels), 2]."""
    half, tilt = torso.half_width(levels)[:, None], _tilt(torso, levels)[:, None]
    width, shift = np.array([tone[:2] for tone in tones]).T[..., None]
    shift = 1.2 * shift * lit[:, None, None]
    sides = []
    for sign in (1, -1):
        across = half * (sign * width + shift)
        along = torso.length[:, None, None] * levels + sign * width * tilt
        side = along[..., None] * torso.axis[:, None, None] + across[..., None] * torso.normal[:, None, None]
        sides.append(side[:, :, ::sign])
    return _fixed(torso.base[:, None, None] + np.concatenate(sides, 2))


def _tilt(torso, levels):
    share = np.clip(levels, 0, 1)
    tilt = torso.tilt[:, :1] * (1 - share) + torso.tilt[:, 1:] * share
    reach = torso.reach[:, :1] * (1 - share) + torso.reach[:, 1:] * share
    return tilt * np.sign(reach)


def _torso_patch(torso, low, high, left, right):
    """A quadrilateral on the torso: shares of the spine, and of the way from the middle to the left joint."""
    corners = []
    for level, side in ((low, left), (low, right), (high, right), (high, left)):
        reach = torso.reach[:, 0] * (1 - level) + torso.reach[:, 1] * level
        tilt = torso.tilt[:, 0] * (1 - level) + torso.tilt[:, 1] * level
        along = torso.length * level + side * tilt
        corners.append(torso.base + along[:, None] * torso.axis + (side * reach)[:, None] * torso.normal)
    return _fixed(np.stack(corners, 1))


def _torso_fills(geometry, look, light, outlines_only):
    torso = geometry.torso
    lit = torso.normal @ light

    def stretch(levels, colour, tones):
        outlines = _torso_outlines(torso, levels, tones, lit)
        return [Fill(outlines[:, i], _shaded(colour, tone[2]), convex=False) for i, tone in enumerate(tones)]

    if outlines_only:
        return (
            *stretch(_PELVIS_LEVELS, look.trousers, _COVER_TONES[:1]),
            *stretch(_TORSO_LEVELS, look.shirt, _TONES[:1]),
        )
    pelvis = stretch(_PELVIS_LEVELS, look.trousers, _COVER_TONES)
    shirt = stretch(_TORSO_LEVELS, look.shirt, _TONES)
    fills = [pelvis[0], shirt[0], *pelvis[1:], *shirt[1:]]
    for low, high, colour in look.bands:
        fills += stretch(np.array([low, high]), colour, _TONES[:3])
    if look.print is not None:
        patch = _torso_patch(torso, 0.5, 0.82, 0.42, -0.42)
        fills.append(Fill(patch, _shaded(look.print, 0.95), shown=torso.facing > 0.3))
    if look.back_print is not None:
        patch = _torso_patch(torso, 0.35, 0.85, 0.3, -0.3)
        fills.append(Fill(patch, _shaded(look.back_print, 0.9), shown=torso.facing < -0.3))
    if look.open_collar:
        patch = _torso_patch(torso, 0.9, 1.06, 0.2, -0.2)
        fills.append(Fill(patch, _shaded(look.skin, 0.9), shown=torso.facing > 0.3))
    return tuple(fills)


def _eyes(geometry):
    """Two dark dots, where the face looks towards the camera."""
    radius = 0.12 * geometry.end_radius[:, LIMB["face"]]
    circle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    ring = np.stack([np.cos(circle), np.sin(circle)], -1)
    fills = []
    for name in ("left_eye", "right_eye"):
        corners = geometry.points[:, POINT[name], None] + radius[:, None, None] * ring
        shown = geometry.point_depth[:, POINT[name]] < geometry.point_depth[:, POINT["crown"]] - 0.03
        fills.append(Fill(_fixed(corners), (35.0, 28.0, 26.0), shown=shown))
    return fills

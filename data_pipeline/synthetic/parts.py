"""The parts that a person is drawn of, projected: tapered limbs along an axis, and the torso.

The same geometry serves the drawing, the label map and the exact flow, so that the three cannot disagree.
"""

import dataclasses

import numpy as np

from data_pipeline.synthetic.body import POINT, Body
from data_pipeline.synthetic.camera import Camera
from jmpose_jax.skeletons import POSETRACK15


@dataclasses.dataclass(frozen=True)
class Limb:
    """A tapered capsule between two points of the body.

    Attributes:
      name: of the part.
      start: name of the point where the axis starts.
      end: name of the point where it ends.
      start_radius: metres, for a person of 1.7 m.
      end_radius: metres.
      span: the share of the axis, (from, to), between the centres of the round ends.
      girth: whether the person's girth widens it.
      nearer: metres by which it is drawn nearer than its middle, so that a limb lies on the torso it hangs beside.
    """

    name: str
    start: str
    end: str
    start_radius: float
    end_radius: float
    span: tuple[float, float] = (0.0, 1.0)
    girth: bool = True
    nearer: float = 0.02


def _pair(name, start, end, *radii):
    return [Limb(f"{s}_{name}", f"{s}_{start}", f"{s}_{end}", *radii) for s in ("left", "right")]


LIMBS = (
    *_pair("thigh", "hip", "knee", 0.086, 0.058),
    *_pair("shank", "knee", "ankle", 0.058, 0.037),
    *_pair("foot", "ankle", "toe", 0.045, 0.036),
    *_pair("upper_arm", "shoulder", "elbow", 0.056, 0.042),
    *_pair("forearm", "elbow", "wrist", 0.043, 0.030),
    *_pair("hand", "wrist", "hand", 0.032, 0.036),
    Limb("neck", "head_bottom", "nape", 0.053, 0.050, girth=False),
    Limb("skull", "head_bottom", "head_top", 0.096, 0.104, span=(0.45, 0.65), girth=False, nearer=0.0),
    Limb("face", "chin", "brow", 0.058, 0.072, girth=False, nearer=0.01),
    Limb("nose", "nose", "nose_bridge", 0.018, 0.009, girth=False, nearer=0.03),
    Limb("hair", "nape", "hair_end", 0.085, 0.06, girth=False, nearer=0.0),
)
LIMB = {limb.name: index for index, limb in enumerate(LIMBS)}
TORSO = len(LIMBS)
NUM_PARTS = len(LIMBS) + 1

_STARTS = np.array([POINT[limb.start] for limb in LIMBS])
_ENDS = np.array([POINT[limb.end] for limb in LIMBS])

# Parts whose surface a joint belongs to: where one of them is drawn at the joint, the joint is seen.
JOINT_PARTS = tuple(
    frozenset(
        [index for index, limb in enumerate(LIMBS) if joint in (limb.start, limb.end)]
        + ([TORSO] if joint in ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "head_bottom") else [])
        + ([LIMB["face"]] if joint in ("head_bottom", "nose", "head_top") else [])
    )
    for joint in POSETRACK15.joints
)

# Half widths of the torso along the spine, from the hips (0) to the shoulders (1) and the neck: share of the way,
# metres sideways, metres in depth.
_PROFILE = np.array([
    (-0.15, 0.10, 0.08), (-0.08, 0.150, 0.105), (0.0, 0.172, 0.115), (0.15, 0.163, 0.11), (0.4, 0.142, 0.10),
    (0.7, 0.178, 0.118), (0.9, 0.202, 0.105), (0.99, 0.206, 0.085), (1.05, 0.17, 0.065), (1.1, 0.085, 0.055),
])  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TorsoGeometry:
    """The torso as a sheet along the spine; all arrays have F rows, in pixels.

    Attributes:
      base: float [F, 2], middle of the hips.
      axis: float [F, 2], unit vector to the middle of the shoulders.
      normal: float [F, 2], unit vector across.
      length: float [F].
      reach: float [F, 2], signed distance across of the left joint from the middle, at hips and shoulders.
      tilt: float [F, 2], the same along the axis.
      frontality: float [F, 2], |reach| against its greatest possible value, 0 (side view) to 1.
      scale: float [F], pixels a metre, times the girth.
      facing: float [F], cosine between the chest's normal and the direction to the camera.
    """

    base: np.ndarray
    axis: np.ndarray
    normal: np.ndarray
    length: np.ndarray
    reach: np.ndarray
    tilt: np.ndarray
    frontality: np.ndarray
    scale: np.ndarray
    facing: np.ndarray

    def half_width(self, share: np.ndarray) -> np.ndarray:
        """Half the width across at shares of the spine; float broadcastable to [F, N] -> [F, N]."""
        sideways = np.interp(share, _PROFILE[:, 0], _PROFILE[:, 1])
        deep = np.interp(share, _PROFILE[:, 0], _PROFILE[:, 2])
        front = _blend(self.frontality, share)
        return self.scale[:, None] * np.sqrt((sideways * front) ** 2 + deep**2 * (1 - front**2))


@dataclasses.dataclass(frozen=True)
class PersonGeometry:
    """One person at F moments.

    Attributes:
      start: float [F, L, 2], start of each limb's axis, pixels.
      end: float [F, L, 2].
      start_radius: float [F, L], pixels.
      end_radius: float [F, L].
      depth: float [F, L + 1], metres from the camera by which the parts are drawn, far ones first; the torso last.
      torso: the torso.
      points: float [F, len(POINTS), 2], pixels.
      point_depth: float [F, len(POINTS)], metres.
    """

    start: np.ndarray
    end: np.ndarray
    start_radius: np.ndarray
    end_radius: np.ndarray
    depth: np.ndarray
    torso: TorsoGeometry
    points: np.ndarray
    point_depth: np.ndarray


def _blend(ends: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Between the values at the hips and at the shoulders, [F, 2] -> [F, N]."""
    share = np.clip(share, 0, 1)
    return ends[:, :1] * (1 - share) + ends[:, 1:] * share


def person_geometry(points: np.ndarray, body: Body, camera: Camera) -> PersonGeometry:
    """Projects a person's parts.

    Args:
      points: float [F, len(POINTS), 3], metres in the world.
      body: the person's proportions.
      camera: the camera at the same F moments.

    Returns:
      The parts in the image.
    """
    pixels, depth = camera.project(points)
    width = body.stature * np.array([body.girth if limb.girth else 1.0 for limb in LIMBS])
    focal = camera.focal[:, None]
    start_depth, end_depth = depth[:, _STARTS], depth[:, _ENDS]
    nearer = np.array([limb.nearer for limb in LIMBS])
    torso, torso_depth = _torso(points, pixels, depth, body, camera)
    return PersonGeometry(
        start=pixels[:, _STARTS],
        end=pixels[:, _ENDS],
        start_radius=focal * width * np.array([limb.start_radius for limb in LIMBS]) / start_depth,
        end_radius=focal * width * np.array([limb.end_radius for limb in LIMBS]) / end_depth,
        depth=np.concatenate([(start_depth + end_depth) / 2 - nearer, torso_depth[:, None]], 1),
        torso=torso,
        points=pixels,
        point_depth=depth,
    )


def _torso(points, pixels, depth, body, camera):
    corners = [POINT[name] for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")]
    left_hip, right_hip, left_shoulder, right_shoulder = (pixels[:, corner] for corner in corners)
    mean_depth = depth[:, corners].mean(1)
    base, top = (left_hip + right_hip) / 2, (left_shoulder + right_shoulder) / 2
    length = np.maximum(np.linalg.norm(top - base, axis=-1), 1e-3)
    axis = (top - base) / length[:, None]
    normal = np.stack([-axis[:, 1], axis[:, 0]], -1)
    halves = np.stack([(left_hip - right_hip) / 2, (left_shoulder - right_shoulder) / 2], 1)
    reach = np.einsum("fei,fi->fe", halves, normal)
    full = np.array([body.hip, body.shoulder]) * (camera.focal / mean_depth)[:, None]
    spine = 0.125 * (points[:, corners[0]] + points[:, corners[1]]) + 0.375 * (
        points[:, corners[2]] + points[:, corners[3]]
    )
    front = points[:, POINT["chest_front"]] - spine
    sight = camera.position - points[:, POINT["chest_front"]]
    facing = (front * sight).sum(-1) / np.linalg.norm(front, axis=-1) / np.linalg.norm(sight, axis=-1)
    torso = TorsoGeometry(
        base=base,
        axis=axis,
        normal=normal,
        length=length,
        reach=reach,
        tilt=np.einsum("fei,fi->fe", halves, axis),
        frontality=np.clip(np.abs(reach) / full, 0, 1),
        scale=camera.focal / mean_depth * body.stature * (0.5 + 0.5 * body.girth),
        facing=facing,
    )
    return torso, mean_depth

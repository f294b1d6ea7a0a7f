"""A person's skeleton: limb lengths and widths, and forward kinematics from joint rotations to points in space.

The person's axes: x to the person's left, y up, z to the front; metres.
"""

import dataclasses

import numpy as np

from data_pipeline.synthetic import rotations
from jmpose_jax.skeletons import POSETRACK15

# Points of the body that drawing needs besides the joints.
EXTRA_POINTS = (
    "left_hand", "right_hand", "left_toe", "right_toe", "left_heel", "right_heel", "crown", "chin", "brow",
    "nose_bridge", "left_eye", "right_eye", "nape", "hair_end", "chest_front", "left_sole", "right_sole",
)  # fmt: skip
POINTS = POSETRACK15.joints + EXTRA_POINTS
POINT = {name: index for index, name in enumerate(POINTS)}


# Points of the head from its base, in lengths of the head.
_HEAD = {
    "head_top": (0, 1.0, 0), "nose": (0, 0.42, 0.42), "crown": (0, 0.62, -0.05), "chin": (0, 0.3, 0.17),
    "brow": (0, 0.62, 0.17), "nose_bridge": (0, 0.56, 0.36), "left_eye": (0.15, 0.55, 0.33),
    "right_eye": (-0.15, 0.55, 0.33), "nape": (0, 0.5, -0.12), "hair_end": (0, -0.12, -0.3),
}  # fmt: skip
_HEAD_POINTS = [POINT[name] for name in _HEAD]
_HEAD_OFFSETS = np.array(list(_HEAD.values()), float)


@dataclasses.dataclass(frozen=True)
class Body:
    """Lengths in metres; `girth` scales the widths of all limbs."""

    hip: float
    shoulder: float
    spine: float
    head: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float
    stature: float
    girth: float


@dataclasses.dataclass(frozen=True)
class Pose:
    """Rotations of T poses, each relative to its parent except `root`, all float [T, 3, 3].

    Attributes:
      root: pelvis in the world.
      chest: relative to the pelvis.
      head: relative to the chest.
      shoulder: left and right, relative to the chest; the upper arm hangs down at identity.
      elbow: left and right, relative to the upper arm.
      hip: left and right, relative to the pelvis.
      knee: left and right, relative to the thigh.
    """

    root: np.ndarray
    chest: np.ndarray
    head: np.ndarray
    shoulder: tuple[np.ndarray, np.ndarray]
    elbow: tuple[np.ndarray, np.ndarray]
    hip: tuple[np.ndarray, np.ndarray]
    knee: tuple[np.ndarray, np.ndarray]


def random_body(rng: np.random.Generator) -> Body:
    """Draws the proportions of an adult or a youth."""
    stature = rng.uniform(1.45, 1.92) / 1.7
    lengths = dict(
        hip=0.10, shoulder=0.185, spine=0.50, head=0.26, upper_arm=0.29, forearm=0.26, thigh=0.42, shank=0.42
    )
    drawn = {name: length * stature * rng.uniform(0.93, 1.07) for name, length in lengths.items()}
    return Body(**drawn, stature=stature, girth=rng.uniform(0.82, 1.25))


def forward_kinematics(pose: Pose, body: Body) -> np.ndarray:
    """Places the points of the body, the pelvis at the origin.

    Args:
      pose: T poses.
      body: the proportions.

    Returns:
      float [T, len(POINTS), 3]; the soles, which lie on the ground below the ankles, are left at the origin.
    """
    points = np.zeros((len(pose.root), len(POINTS), 3))

    def put(name, frame, *offset, origin=None):
        where = frame @ np.asarray(offset, float)
        points[:, POINT[name]] = where if origin is None else points[:, POINT[origin]] + where

    chest = pose.root @ pose.chest
    head = chest @ pose.head
    put("head_bottom", chest, 0, body.spine + 0.05 * body.stature, 0.01)
    put("chest_front", chest, 0, 0.75 * body.spine, 0.12 * body.stature)
    points[:, _HEAD_POINTS] = points[:, [POINT["head_bottom"]]] + body.head * (_HEAD_OFFSETS @ head.swapaxes(-1, -2))
    for index, (side, sign) in enumerate((("left", 1), ("right", -1))):
        put(f"{side}_hip", pose.root, sign * body.hip, 0, 0)
        thigh = pose.root @ pose.hip[index]
        put(f"{side}_knee", thigh, 0, -body.thigh, 0, origin=f"{side}_hip")
        shank = thigh @ pose.knee[index]
        put(f"{side}_ankle", shank, 0, -body.shank, 0, origin=f"{side}_knee")
        put(f"{side}_heel", shank, 0, -0.045 * body.stature, -0.03 * body.stature, origin=f"{side}_ankle")
        put(f"{side}_toe", shank, 0, -0.06 * body.stature, 0.15 * body.stature, origin=f"{side}_ankle")
        put(f"{side}_shoulder", chest, sign * body.shoulder, body.spine - 0.02 * body.stature, 0)
        arm = chest @ pose.shoulder[index]
        put(f"{side}_elbow", arm, 0, -body.upper_arm, 0, origin=f"{side}_shoulder")
        forearm = arm @ pose.elbow[index]
        put(f"{side}_wrist", forearm, 0, -body.forearm, 0, origin=f"{side}_elbow")
        put(f"{side}_hand", forearm, 0, -0.085 * body.stature, 0.01, origin=f"{side}_wrist")
    return points


def rest_pose(count: int) -> Pose:
    """T upright poses with hanging arms, facing +z."""
    identity = np.broadcast_to(np.eye(3), (count, 3, 3))
    pair = (identity, identity)
    return Pose(identity, identity, identity, pair, pair, pair, pair)


def axis_angles_pose(angles: dict[str, np.ndarray]) -> Pose:
    """Builds poses from anatomical angles.

    Args:
      angles: float [T] radians under the names of `motions.LIMITS`.

    Returns:
      T poses. Positive flexion moves a limb to the front (the knee: to the back), positive abduction away from the
      body, on both sides alike.
    """
    x, y, z = (lambda angle, axis=axis: rotations.about(axis, angle) for axis in range(3))

    def limb(side, sign):
        shoulder = (
            z(sign * angles[f"{side}_shoulder_abduction"])
            @ x(-angles[f"{side}_shoulder_flexion"])
            @ y(sign * angles[f"{side}_shoulder_rotation"])
        )
        hip = z(sign * angles[f"{side}_hip_abduction"]) @ x(-angles[f"{side}_hip_flexion"])
        return shoulder, x(-angles[f"{side}_elbow"]), hip, x(angles[f"{side}_knee"])

    left, right = limb("left", 1), limb("right", -1)
    shoulder, elbow, hip, knee = zip(left, right)
    return Pose(
        root=y(angles["yaw"]) @ x(angles["pitch"]) @ z(angles["roll"]),
        chest=x(angles["bend"]) @ z(angles["side_bend"]) @ y(angles["twist"]),
        head=y(angles["head_turn"]) @ x(angles["head_nod"]),
        shoulder=shoulder,
        elbow=elbow,
        hip=hip,
        knee=knee,
    )

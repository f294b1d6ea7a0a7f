"""Procedural motions: every joint angle is an offset, a drift and a few sinusoids, kept within the joint's limits."""

import dataclasses

import numpy as np

from data_pipeline.synthetic.body import Body, Pose, axis_angles_pose

_SIDE_LIMITS = {
    "shoulder_flexion": (-0.9, 3.0),
    "shoulder_abduction": (0.03, 1.7),
    "shoulder_rotation": (-1.2, 1.2),
    "elbow": (0.05, 2.4),
    "hip_flexion": (-0.5, 1.9),
    "hip_abduction": (-0.05, 0.9),
    "knee": (0.03, 2.3),
}
# Radians. Yaw is free; everything else stays where a joint can go.
LIMITS = {
    "yaw": (-np.inf, np.inf), "pitch": (-0.5, 0.9), "roll": (-0.5, 0.5), "bend": (-0.3, 0.9),
    "side_bend": (-0.45, 0.45), "twist": (-0.6, 0.6), "head_turn": (-1.0, 1.0), "head_nod": (-0.4, 0.5),
    **{f"left_{name}": limits for name, limits in _SIDE_LIMITS.items()},
    **{f"right_{name}": limits for name, limits in _SIDE_LIMITS.items()},
}  # fmt: skip
_INDEX = {name: index for index, name in enumerate(LIMITS)}
_LOW, _HIGH = np.array(list(LIMITS.values())).T
_WAVES = 3
_TURN = 2 * np.pi


class Motion:
    """A motion as a function of time.

    Attributes:
      name: what it is.
      velocity: float [3], metres a second of the pelvis over the ground.
    """

    name: str
    velocity: np.ndarray

    def pose(self, seconds: np.ndarray) -> Pose:
        """Poses at the given times, float [T] -> T poses."""
        raise AssertionError("a motion defines its poses")

    def lift(self, seconds: np.ndarray) -> np.ndarray:
        """Height of the lowest foot above the ground, float [T], metres."""
        return np.zeros_like(seconds)

    def pelvis_height(self, seconds: np.ndarray, body: Body) -> np.ndarray | None:
        """Height of the pelvis, float [T], metres; None where a foot is always on the ground but for `lift`."""
        return None

    def travel(self, seconds: np.ndarray) -> np.ndarray:
        """Way of the pelvis over the ground, float [T, 3], metres."""
        return seconds[:, None] * self.velocity


@dataclasses.dataclass
class ProceduralMotion(Motion):
    """Sums of sinusoids; see the module's line."""

    name: str
    offset: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(LIMITS)))
    drift: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(LIMITS)))
    amplitude: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((len(LIMITS), _WAVES)))
    frequency: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((len(LIMITS), _WAVES)))
    phase: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((len(LIMITS), _WAVES)))
    hop: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres, hertz, radians
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))

    def set(self, name: str, offset: float, *waves: tuple[float, float, float], drift: float = 0.0) -> None:
        """Defines one angle anew; waves are (amplitude, hertz, phase)."""
        index = _INDEX[name]
        self.offset[index], self.drift[index], self.amplitude[index] = offset, drift, 0
        for slot, wave in enumerate(waves):
            self.amplitude[index, slot], self.frequency[index, slot], self.phase[index, slot] = wave

    def angles(self, seconds: np.ndarray) -> dict[str, np.ndarray]:
        """Angles within the limits, each float [T]."""
        argument = _TURN * self.frequency * seconds[:, None, None] + self.phase
        values = self.offset + self.drift * seconds[:, None] + (self.amplitude * np.sin(argument)).sum(-1)
        values = np.clip(values, _LOW, _HIGH)
        return {name: values[:, index] for name, index in _INDEX.items()}

    def pose(self, seconds: np.ndarray) -> Pose:
        return axis_angles_pose(self.angles(seconds))

    def lift(self, seconds: np.ndarray) -> np.ndarray:
        height, frequency, phase = self.hop
        return height * np.maximum(0, np.sin(_TURN * frequency * seconds + phase))


def random_motion(name: str, rng: np.random.Generator) -> ProceduralMotion:
    """Draws a motion.

    Args:
      name: a key of `MOTIONS`.
      rng: source of its parameters.

    Returns:
      The motion. People mostly face the camera (sd 40 degrees) and one in five shows the back: with free yaw a small
      network confuses left and right, and that error drowns what the data set is to show.
    """
    motion = ProceduralMotion(name)
    yaw = rng.normal(0, 0.7) + (np.pi if rng.random() < 0.2 else 0)
    motion.set("yaw", yaw)
    phase = rng.uniform(0, _TURN)
    _stance(motion, rng)
    MOTIONS[name](motion, rng, yaw, phase)
    if name not in ("random", "wave") and rng.random() < 0.3:
        _free_arm(motion, rng)
    return motion


def _stance(motion, rng):
    """Stands still with small sway, arms beside the body."""
    sway = rng.uniform(0.3, 0.7)
    motion.set("pitch", 0.03 + rng.normal(0, 0.03))
    motion.set("roll", rng.normal(0, 0.04))
    motion.set("bend", 0.05 + rng.normal(0, 0.06), (0.03, sway, rng.uniform(0, _TURN)))
    motion.set("side_bend", rng.normal(0, 0.04), (0.04, sway, rng.uniform(0, _TURN)))
    motion.set("twist", rng.normal(0, 0.08))
    motion.set("head_turn", rng.normal(0, 0.4), (0.15, sway, rng.uniform(0, _TURN)))
    motion.set("head_nod", rng.normal(0, 0.15))
    for side in ("left", "right"):
        motion.set(f"{side}_shoulder_flexion", rng.normal(0.1, 0.15))
        motion.set(f"{side}_shoulder_abduction", 0.12 + abs(rng.normal(0, 0.15)))
        motion.set(f"{side}_shoulder_rotation", rng.normal(0, 0.3))
        motion.set(f"{side}_elbow", 0.3 + abs(rng.normal(0, 0.25)))
        motion.set(f"{side}_hip_flexion", 0.1 + rng.normal(0, 0.06))
        motion.set(f"{side}_hip_abduction", 0.02 + abs(rng.normal(0, 0.1)))
        motion.set(f"{side}_knee", 0.1 + abs(rng.normal(0, 0.08)))


def _wander(motion, rng, name, amount=1.0, fastest=1.2):
    """A smooth random path through the angle's range."""
    low, high = LIMITS[name]
    waves = [
        (amount * (high - low) * 0.5 * rng.uniform(0.1, 0.5), rng.uniform(0.2, fastest), rng.uniform(0, _TURN))
        for _ in range(_WAVES)
    ]
    motion.set(name, rng.uniform(low, high), *waves)


def _free_arm(motion, rng):
    side = rng.choice(["left", "right"])
    for name in ("shoulder_flexion", "shoulder_abduction", "elbow"):
        _wander(motion, rng, f"{side}_{name}", 0.9)


def _ahead(yaw: float, speed: float) -> np.ndarray:
    return speed * np.array([np.sin(yaw), 0.0, np.cos(yaw)])


def _gait(motion, rng, yaw, phase, *, frequency, swing, knee, elbow, lean):
    motion.set("yaw", yaw, (0.08, frequency, phase), drift=rng.normal(0, 0.2))
    motion.set("pitch", lean)
    motion.set("bend", 0.05 + rng.normal(0, 0.08), (0.05, 2 * frequency, 2 * phase))
    motion.set("side_bend", 0, (0.05, frequency, phase))
    motion.set("twist", 0, (0.2, frequency, phase))
    for side, sign in (("left", 0), ("right", np.pi)):
        motion.set(f"{side}_hip_flexion", 0.1 + 0.3 * swing, (swing, frequency, phase + sign))
        motion.set(f"{side}_knee", 0.15 + knee, (knee, frequency, phase + 1.2 + sign))
        motion.set(f"{side}_shoulder_flexion", 0.1, (0.9 * swing, frequency, phase + sign + np.pi))
        motion.set(f"{side}_elbow", elbow + rng.normal(0, 0.1), (0.25, frequency, phase + 2 + sign))


def _walk(motion, rng, yaw, phase):
    frequency, swing = rng.uniform(0.7, 1.2), 0.45 * rng.uniform(0.8, 1.25)
    _gait(motion, rng, yaw, phase, frequency=frequency, swing=swing, knee=0.4, elbow=0.35, lean=0.05)
    motion.velocity = _ahead(yaw, rng.uniform(0.6, 1.4))


def _run(motion, rng, yaw, phase):
    frequency, swing = rng.uniform(1.2, 1.8), 0.9 * rng.uniform(0.8, 1.25)
    _gait(motion, rng, yaw, phase, frequency=frequency, swing=swing, knee=0.9, elbow=1.5, lean=0.2)
    motion.hop = (0.07, 2 * frequency, 2 * phase)
    motion.velocity = _ahead(yaw, rng.uniform(2, 4))


def _jump(motion, rng, yaw, phase):
    frequency, bend = rng.uniform(0.6, 1.1), 0.5 * rng.uniform(0.8, 1.25)
    spread = rng.uniform(0, 0.45)
    for side in ("left", "right"):
        motion.set(f"{side}_hip_flexion", 0.1 + 0.7 * bend, (0.7 * bend, frequency, phase))
        motion.set(f"{side}_knee", 0.1 + 1.1 * bend, (1.1 * bend, frequency, phase))
        motion.set(f"{side}_shoulder_flexion", 0.6, (1.2, frequency, phase + 2 + rng.normal(0, 0.3)))
        motion.set(f"{side}_elbow", 0.5 + abs(rng.normal(0, 0.3)), (0.3, frequency, phase))
        motion.set(f"{side}_shoulder_abduction", 0.2 + spread, (spread, frequency, phase + np.pi))
    motion.hop = (0.35, frequency, phase + np.pi)
    motion.velocity = _ahead(yaw, rng.uniform(0, 0.5))


def _squat(motion, rng, yaw, phase):
    frequency, depth = rng.uniform(0.4, 0.8), rng.uniform(0.55, 0.9)
    reach = rng.uniform(0.2, 0.8)
    motion.set("bend", 0.1 + 0.3 * depth, (0.3 * depth, frequency, phase))
    for side in ("left", "right"):
        motion.set(f"{side}_hip_flexion", 0.1 + depth, (depth, frequency, phase))
        motion.set(f"{side}_knee", 0.15 + 1.1 * depth, (1.1 * depth, frequency, phase))
        motion.set(f"{side}_hip_abduction", 0.15 + abs(rng.normal(0, 0.15)))
        motion.set(f"{side}_shoulder_flexion", 0.2 + reach, (reach, frequency, phase))
        motion.set(f"{side}_elbow", 0.3 + abs(rng.normal(0, 0.4)))


def _wave(motion, rng, yaw, phase):
    frequency = rng.uniform(0.9, 1.8)
    raised = ("left", "right") if rng.random() < 0.25 else (str(rng.choice(["left", "right"])),)
    for side in raised:
        motion.set(f"{side}_shoulder_abduction", rng.uniform(1.1, 1.6), (0.2, frequency, phase))
        motion.set(f"{side}_shoulder_flexion", rng.uniform(0.2, 1.2), (0.25, frequency, phase + 1))
        motion.set(f"{side}_shoulder_rotation", rng.uniform(-0.4, 0.4), (0.6, frequency, phase))
        motion.set(f"{side}_elbow", rng.uniform(0.8, 1.6), (0.6, frequency, phase + 0.5))
    motion.set("roll", 0, (0.1, frequency / 2, phase))
    motion.set("side_bend", 0, (0.15, frequency / 2, phase))
    motion.set("twist", 0, (0.25, frequency / 2, phase))
    motion.velocity = _ahead(rng.uniform(0, _TURN), rng.uniform(0.1, 0.7))


def _kick(motion, rng, yaw, phase):
    frequency, swing = rng.uniform(0.6, 1.0), rng.uniform(0.7, 1.1)
    kicking, standing = rng.permutation(["left", "right"])
    motion.set(f"{kicking}_hip_flexion", 0.5, (swing, frequency, phase))
    motion.set(f"{kicking}_knee", 0.7, (0.65, frequency, phase + 2.2))
    motion.set(f"{kicking}_hip_abduction", 0.1 + abs(rng.normal(0, 0.25)))
    motion.set(f"{standing}_knee", 0.25, (0.15, frequency, phase))
    motion.set("pitch", -0.05, (0.15, frequency, phase + np.pi))
    motion.set("twist", 0, (0.3, frequency, phase))
    motion.set(f"{kicking}_shoulder_flexion", 0, (0.7, frequency, phase + np.pi))
    motion.set(f"{standing}_shoulder_flexion", 0.3, (0.7, frequency, phase))
    motion.set(f"{standing}_shoulder_abduction", 0.6 + abs(rng.normal(0, 0.3)))
    motion.velocity = _ahead(yaw, rng.uniform(0.2, 1.2))


def _turn(motion, rng, yaw, phase):
    frequency = rng.uniform(0.7, 1.1)
    _gait(motion, rng, yaw, phase, frequency=frequency, swing=0.25, knee=0.3, elbow=0.5, lean=0.03)
    motion.set("yaw", yaw, drift=rng.choice([-1, 1]) * rng.uniform(1.2, 3.0))
    motion.velocity = _ahead(rng.uniform(0, _TURN), rng.uniform(0.2, 1.0))
    for side in ("left", "right"):
        motion.set(f"{side}_shoulder_abduction", rng.uniform(0.1, 1.2), (0.2, frequency, phase))


def _random(motion, rng, yaw, phase):
    for name in LIMITS:
        if name != "yaw":
            _wander(motion, rng, name, 0.9)
    calm = ["pitch", "roll", "bend", "side_bend"]
    if rng.random() < 0.5:
        calm += [f"{side}_{name}" for side in ("left", "right") for name in ("hip_flexion", "hip_abduction", "knee")]
    for name in calm:
        index = _INDEX[name]
        motion.offset[index] *= 0.5
        motion.amplitude[index] *= 0.5
    motion.set("yaw", yaw, (0.3, rng.uniform(0.2, 0.8), rng.uniform(0, _TURN)), drift=rng.normal(0, 0.6))
    motion.velocity = _ahead(rng.uniform(0, _TURN), rng.uniform(0, 1.2))


MOTIONS = {
    "walk": _walk,
    "run": _run,
    "jump": _jump,
    "squat": _squat,
    "wave": _wave,
    "kick": _kick,
    "turn": _turn,
    "random": _random,
}

"""A scene: people, their speed, the camera, what passes in front, what is behind."""

import dataclasses

import numpy as np

from data_pipeline.synthetic.background import random_background
from data_pipeline.synthetic.camera import FOCAL_LENGTH, Camera, CameraMove, random_move, stand_for
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.occluders import Occluder, random_occluder
from data_pipeline.synthetic.people import Person, draw_motion, random_people
from data_pipeline.synthetic.visibility import NUM_JOINTS

_TEMPO = {"slow": 0.036, "fast": 0.08}  # seconds a frame to begin with
_TEMPO_RANGE = (0.004, 0.13)
_ATTEMPTS = 4
CROP_HEIGHT, CROP_WIDTH = 128, 96
_BOX_MARGIN = 1.3  # PoseTrack's box around the joints, which the embedded data set's configs crop as it is


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything that a video shows.

    Attributes:
      regime: "slow" or "fast".
      people: annotated people first.
      move: the camera's way.
      stand: float [3], where the camera stands at the middle.
      occluders: the last one in front.
      background: uint8 [h, w, 3].
      background_map: float [2, 3], from points (x, y) in metres of the plane of the background to its pixels.
      background_z: where that plane stands, metres.
      light: float [2], unit vector towards the light in the image.
      shutter: exposure as a share of the frame interval.
      speeds: float [annotated people], median joint motion in pixels of a crop a frame.
    """

    regime: str
    people: tuple[Person, ...]
    move: CameraMove
    stand: np.ndarray
    occluders: tuple[Occluder, ...]
    background: np.ndarray
    background_map: np.ndarray
    background_z: float
    light: np.ndarray
    shutter: float
    speeds: np.ndarray

    def camera(self, moments: np.ndarray, config: SyntheticConfig) -> Camera:
        """The camera at moments in frames from the middle of the video."""
        return self.move.at(moments, self.people[0].root(moments), self.stand, config.width, config.height)


def frame_moments(config: SyntheticConfig) -> np.ndarray:
    """The moments of the frames, float [N], in frames from the middle of the video."""
    return np.arange(config.num_frames) - (config.num_frames - 1) / 2


def random_scene(rng: np.random.Generator, config: SyntheticConfig, library=None) -> Scene:
    """Draws a scene.

    Args:
      rng: source of everything in it.
      config: the settings.
      library: a `mocap.Library` or None.

    Returns:
      The scene, its people moving at the speed of the regime.
    """
    regime = "fast" if rng.random() < config.fast_fraction else "slow"
    fast = regime == "fast"
    target = rng.uniform(*(config.fast_speed if fast else config.slow_speed))
    people = random_people(rng, config, _TEMPO[regime], library)
    move = random_move(rng, fast)
    moments = frame_moments(config)
    targets = target * rng.uniform(0.85, 1.15, len(people))
    for _ in range(_ATTEMPTS):
        stand, joints, speeds = _set_speeds(people, move, moments, targets, config)
        # Some motions (a wave in place) cannot move most joints that fast; these people do something else.
        for index in np.flatnonzero(speeds < 0.75 * targets):
            people[index].motion, people[index].tempo = draw_motion(rng, config, library), _TEMPO[regime]
        if (speeds >= 0.75 * targets).all():
            break
    else:
        stand, joints, speeds = _set_speeds(people, move, moments, targets, config)
    shutter = rng.uniform(*(config.fast_shutter if fast else config.slow_shutter))
    annotated = [person.annotated for person in people]
    occluders = _random_occluders(rng, config, joints[annotated], moments)
    angle = rng.normal(0, 0.6)
    return Scene(
        regime=regime,
        people=tuple(people),
        move=move,
        stand=stand,
        occluders=occluders,
        **_random_background(rng, config, stand, people),
        light=np.array([np.sin(angle), -np.cos(angle)]),
        shutter=shutter,
        speeds=speeds[annotated],
    )


def crop_scale(joints: np.ndarray) -> np.ndarray:
    """Crop pixels an image pixel for people's joints, float [..., K, 2] -> float [...]."""
    extent = _BOX_MARGIN * (joints.max(-2) - joints.min(-2))
    return CROP_HEIGHT / np.maximum(np.maximum(extent[..., 1], extent[..., 0] * CROP_HEIGHT / CROP_WIDTH), 1)


def _set_speeds(people, move, moments, targets, config):
    """Finds tempos at which the people's joints move by `targets` on the median, in pixels of a crop a frame."""
    for last in (False, False, False, True):
        points = [person.points(moments) for person in people]
        shown = np.concatenate([p for p, person in zip(points, people) if person.annotated], 1)
        root = people[0].root(moments)
        stand = stand_for(move, moments, root, shown, config.width, config.height)
        camera = move.at(moments, root, stand, config.width, config.height)
        joints = np.stack([camera.project(p[:, :NUM_JOINTS])[0] for p in points])
        way = np.linalg.norm(np.diff(joints, axis=1), axis=-1)
        speeds = np.median(way, (1, 2)) * np.median(crop_scale(joints), 1)
        if (np.abs(np.log(np.maximum(speeds, 1e-3) / targets)) < 0.1).all():
            break
        if not last:
            for person, ratio in zip(people, targets / np.maximum(speeds, 1e-3)):
                person.tempo = float(np.clip(person.tempo * np.clip(ratio, 0.4, 2.5), *_TEMPO_RANGE))
    return stand, joints, speeds


def _random_occluders(rng, config, joints, moments):
    if rng.random() >= config.occluder_probability:
        return ()
    occluders = []
    for _ in range(rng.integers(config.occluder_count[0], config.occluder_count[1] + 1)):
        frame = int(rng.integers(1, len(moments) - 1)) if len(moments) > 2 else 0
        person = 0 if rng.random() < 0.6 else int(rng.integers(len(joints)))
        chest = joints[person, frame][[8, 9, 2, 3]].mean(0) - [0, 15]
        moment = moments[frame] + rng.uniform(-0.5, 0.5)
        occluders.append(
            random_occluder(rng, chest, moment, config.occluder_speed, config.occluder_width, config.height)
        )
    return tuple(occluders)


def _random_background(rng, config, stand, people):
    nearest = min(person.place[2] for person in people)
    z = min(nearest - 0.8, 0.0) - rng.uniform(1.5, 5.0)
    distance = stand[2] - z
    margin = np.array([0.4 * config.width, 0.2 * config.height])
    size = (np.array([config.width, config.height]) + 2 * margin).astype(int)
    scale = FOCAL_LENGTH / distance
    # The wall meets the ground where the camera sees points of height 0 at that distance.
    ground = config.height / 2 + margin[1] + scale * stand[1]
    offset = size / 2 - scale * stand[:2] * np.array([1, -1])
    return dict(
        background=random_background(rng, int(size[0]), int(size[1]), int(ground)),
        background_map=np.array([[scale, 0, offset[0]], [0, -scale, offset[1]]]),
        background_z=float(z),
    )

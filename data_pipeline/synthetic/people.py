"""People of a scene: who moves how, how fast and where."""

import dataclasses

import numpy as np

from data_pipeline.synthetic.appearance import Appearance, random_appearance
from data_pipeline.synthetic.body import POINT, Body, forward_kinematics, random_body
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.motions import Motion, random_motion

_FEET = [POINT[f"{side}_{name}"] for side in ("left", "right") for name in ("ankle", "toe", "heel")]
_SOLE = 0.035  # metres below the points of the foot


@dataclasses.dataclass
class Person:
    """A person in the scene.

    Attributes:
      body: proportions.
      motion: as a function of time.
      tempo: seconds of the motion a frame.
      place: float [3], metres, where the pelvis is in the middle of the video.
      look: appearance.
      annotated: False for bystanders, who lie in an ignore region.
    """

    body: Body
    motion: Motion
    tempo: float
    place: np.ndarray
    look: Appearance
    annotated: bool = True

    def points(self, moments: np.ndarray) -> np.ndarray:
        """The body's points at moments in frames from the middle, float [F] -> float [F, len(POINTS), 3]."""
        seconds = moments * self.tempo
        points = forward_kinematics(self.motion.pose(seconds), self.body)
        lowest = points[:, _FEET, 1].min(1) - _SOLE * self.body.stature
        height = self.motion.pelvis_height(seconds, self.body)
        rise = self.motion.lift(seconds) - lowest if height is None else np.maximum(height, -lowest)
        points += (self.place + self.motion.travel(seconds))[:, None]
        points[..., 1] += rise[:, None]
        for side in ("left", "right"):
            points[:, POINT[f"{side}_sole"]] = points[:, POINT[f"{side}_ankle"]] * [1, 0, 1]
        return points

    def root(self, moments: np.ndarray) -> np.ndarray:
        """Way of the pelvis over the ground, float [F, 3]."""
        return self.place + self.motion.travel(moments * self.tempo)


def random_people(rng: np.random.Generator, config: SyntheticConfig, tempo: float, library) -> list[Person]:
    """Draws the annotated people of a scene, the main one first at the origin, and perhaps a bystander.

    Args:
      rng: source of everything about them.
      config: the settings.
      tempo: seconds a frame to begin with.
      library: a `mocap.Library` or None.

    Returns:
      The people.
    """
    chances = np.array(config.people) / np.sum(config.people)
    count = 1 + int(rng.choice(len(chances), p=chances))
    people = []
    for index in range(count):
        place = np.zeros(3)
        if index:
            place = np.array([rng.uniform(0.25, 1.1) * rng.choice([-1, 1]), 0.0, rng.uniform(-0.9, 0.9)])
        people.append(Person(random_body(rng), draw_motion(rng, config, library), tempo, place, random_appearance(rng)))
    if rng.random() < config.bystander_probability:
        place = np.array([rng.uniform(1.5, 3.0) * rng.choice([-1, 1]), 0.0, rng.uniform(-4.0, -2.5)])
        people.append(
            Person(
                random_body(rng), draw_motion(rng, config, None), tempo, place, random_appearance(rng), annotated=False
            )
        )
    return people


def draw_motion(rng: np.random.Generator, config: SyntheticConfig, library) -> Motion:
    """Draws a person's motion, from the library of motion files with the probability that the settings give."""
    if library is not None and rng.random() < config.mocap_fraction:
        return library.random_motion(rng)
    names, weights = zip(*config.motions)
    return random_motion(str(rng.choice(names, p=np.array(weights) / np.sum(weights))), rng)

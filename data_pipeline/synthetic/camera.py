"""A pinhole camera that follows, pans, zooms and trembles; it looks along -z with the horizon level."""

import dataclasses

import numpy as np

FOCAL_LENGTH = 300.0  # pixels at zoom 1
_NEAREST = 0.4  # metres; nothing is drawn from nearer than this


@dataclasses.dataclass(frozen=True)
class Camera:
    """The camera at F moments.

    Attributes:
      position: float [F, 3], metres.
      focal: float [F], pixels.
      roll: float [F], radians in the image plane.
      width: pixels.
      height: pixels.
    """

    position: np.ndarray
    focal: np.ndarray
    roll: np.ndarray
    width: int
    height: int

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projects points in space.

        Args:
          points: float [F, N, 3], metres.

        Returns:
          float [F, N, 2] pixels, and float [F, N] distances along the line of sight, metres.
        """
        relative = points - self.position[:, None]
        depth = np.maximum(-relative[..., 2], _NEAREST)
        scale = self.focal[:, None] / depth
        x, y = scale * relative[..., 0], -scale * relative[..., 1]
        cosine, sine = np.cos(self.roll)[:, None], np.sin(self.roll)[:, None]
        pixels = np.stack([cosine * x - sine * y, sine * x + cosine * y], -1)
        return pixels + self.centre, depth

    @property
    def centre(self) -> np.ndarray:
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    def plane_map(self, plane_z: float) -> np.ndarray:
        """The affine maps from points (x, y) in metres of an upright plane to pixels.

        Args:
          plane_z: where the plane stands.

        Returns:
          float [F, 2, 3].
        """
        scale = self.focal / np.maximum(self.position[:, 2] - plane_z, _NEAREST)
        cosine, sine = scale * np.cos(self.roll), scale * np.sin(self.roll)
        linear = np.stack([np.stack([cosine, sine], -1), np.stack([sine, -cosine], -1)], -2)
        offset = self.centre - np.einsum("fij,fj->fi", linear, self.position[:, :2])
        return np.concatenate([linear, offset[..., None]], -1)


@dataclasses.dataclass(frozen=True)
class CameraMove:
    """How the camera moves, apart from where it must stand to hold the people in the picture.

    Attributes:
      follow: share of the main person's way that the camera goes along with, 0 to 1.
      drift: float [2], metres a frame sideways and up.
      zoom: relative change of the focal length a frame.
      tremble: float [4, 3], sinusoids of the hand for x, y (metres) and roll (radians): (amplitude, radians a frame,
        phase) each; row 3 is a second one for x.
      distance: metres from the main person, before the people's extent asks for more.
      slack: float [2] in -1..1, where in the picture the people stand as far as there is room.
    """

    follow: float
    drift: np.ndarray
    zoom: float
    tremble: np.ndarray
    distance: float
    slack: np.ndarray

    def at(self, moments: np.ndarray, root: np.ndarray, stand: np.ndarray, width: int, height: int) -> Camera:
        """The camera at moments in frames from the middle of the video.

        Args:
          moments: float [F].
          root: float [F, 3], the main person's pelvis.
          stand: float [3], where the camera stands at moment 0.
          width: pixels.
          height: pixels.

        Returns:
          The camera at the F moments.
        """
        amplitude, rate, phase = self.tremble.T
        hand = amplitude * np.sin(moments[:, None] * rate + phase)
        way = self.follow * root * np.array([1.0, 0.0, 1.0])
        position = stand + way
        position[:, 0] += self.drift[0] * moments + hand[:, 0] + hand[:, 3]
        position[:, 1] += self.drift[1] * moments + hand[:, 1]
        return Camera(position, FOCAL_LENGTH * np.exp(self.zoom * moments), hand[:, 2], width, height)


def random_move(rng: np.random.Generator, fast: bool) -> CameraMove:
    """Draws the camera's way; in the fast regime it is livelier."""
    lively = 2.5 if fast else 1.0
    amplitude = np.array([0.006, 0.004, 0.004, 0.004]) * lively * rng.uniform(0, 1, 4)
    tremble = np.stack([amplitude, rng.uniform(0.5, 2.5, 4), rng.uniform(0, 2 * np.pi, 4)], -1)
    return CameraMove(
        follow=rng.uniform(0.5, 1.0),
        drift=rng.normal(0, [0.007, 0.003]) * lively,
        zoom=rng.normal(0, 0.004) * lively if rng.random() < 0.4 else 0.0,
        tremble=tremble,
        distance=rng.uniform(2.7, 4.6),
        slack=rng.uniform(-1, 1, 2),
    )


def stand_for(
    move: CameraMove, moments: np.ndarray, root: np.ndarray, points: np.ndarray, width: int, height: int
) -> np.ndarray:
    """Finds where the camera must stand so that the people stay in the picture.

    Args:
      move: the camera's way.
      moments: float [F], frames from the middle.
      root: float [F, 3], the main person's pelvis.
      points: float [F, N, 3], everything that should be seen.
      width: pixels.
      height: pixels.

    Returns:
      float [3], metres.
    """
    margin = 0.04 * height
    room = np.array([width, height]) - 2 * margin
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    stand = np.array([0.0, 1.0, move.distance])
    for _ in range(3):  # backing off changes the perspective a little, hence some rounds
        pixels, depth = move.at(moments, root, stand, width, height).project(points)
        low, high = pixels.min((0, 1)), pixels.max((0, 1))
        excess = max(1.0, *((high - low) / room))
        stand[2] *= min(excess, 1.6)
        low, high = (low - centre) / excess, (high - centre) / excess
        free = np.maximum(room - (high - low), 0) / 2
        shift = (low + high) / 2 - free * move.slack * np.array([0.8, 0.6])
        stand[:2] += shift * np.array([1, -1]) * stand[2] / FOCAL_LENGTH
    return stand

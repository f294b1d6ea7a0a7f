"""The coordinates that networks of sequences are trained in, and the way back from them."""

import dataclasses

import numpy as np

from jmpose_jax.errors import InputError

KINDS = ("image", "root", "person", "plain")
SAMPLED = 512  # frames that a person's size is taken from


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """How a window's poses are seen by a network: (poses − origin) / unit.

    Attributes:
      kind: "image", shares of the picture's width and height; "root", less the mean of the root joints of the same
        frame; "person", less the middle of the window's joints, over the size of the person; "plain", as they stand.
      roots: joints, for "root".
      size: (width, height) in pixels of pictures whose size no file says, for "image".
    """

    kind: str
    roots: tuple[int, ...] = ()
    size: tuple[float, float] | None = None

    def check(self, joints: int, dimensions: int) -> None:
        """Raises InputError where poses of so many joints and dimensions have no such coordinates."""
        if self.kind not in KINDS:
            raise InputError(f"coordinates={self.kind!r} is not known; use one of {', '.join(KINDS)}")
        if self.kind == "image" and dimensions != 2:
            raise InputError(f"coordinates='image' are of 2 dimensions, the poses have {dimensions}; use root")
        if self.kind == "root" and not (self.roots and all(0 <= root < joints for root in self.roots)):
            raise InputError(f"roots={self.roots}: name some of the joints 0 to {joints - 1} for coordinates='root'")
        if self.size is not None and not (len(self.size) == 2 and min(self.size) > 0):
            raise InputError(f"size={self.size}: must be the width and height of the pictures in pixels")

    def of(self, poses: np.ndarray, size: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Origin and unit of a window.

        Args:
          poses: float [W, K, D] without gaps, as they were estimated.
          size: (width, height) of the picture where the sequence says it.

        Returns:
          Origin float [W, 1, D] and unit float [D].

        Raises:
          InputError: "image", and nothing says how large the picture is.
        """
        dimensions = poses.shape[2]
        if self.kind == "image":
            if (size := size or self.size) is None:
                raise InputError("coordinates='image' need the size of the pictures; set size=(width, height)")
            return np.zeros((len(poses), 1, 2)), np.asarray(size, np.float64)
        if self.kind == "plain":
            return np.zeros((len(poses), 1, dimensions)), np.ones(dimensions)
        if self.kind == "root":
            return poses[:, list(self.roots)].mean(axis=1, keepdims=True), np.ones(dimensions)
        middle = np.broadcast_to(poses.mean(axis=(0, 1)), (len(poses), 1, dimensions))
        return middle, np.full(dimensions, body_size(poses, np.ones(poses.shape[:2], bool)))


def body_size(poses: np.ndarray, known: np.ndarray) -> float:
    """The size of a person: the median over frames of the diagonal of the box around the known joints.

    Args:
      poses: float [T, K, D].
      known: bool [T, K].

    Returns:
      In the unit of the poses; 1 where no frame has two joints apart.
    """
    several = np.flatnonzero(known.sum(axis=1) > 1)
    if not len(several):
        return 1.0
    several = several[np.linspace(0, len(several) - 1, min(SAMPLED, len(several))).astype(int)]
    high = np.where(known[several][..., None], poses[several], -np.inf).max(axis=1)
    low = np.where(known[several][..., None], poses[several], np.inf).min(axis=1)
    size = float(np.median(np.linalg.norm(high - low, axis=-1)))
    return size if size > 0 else 1.0

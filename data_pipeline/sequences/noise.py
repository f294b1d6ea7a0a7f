"""How estimators err, as a model to draw from: what true poses of motion files are estimated as.

An error is the sum of what changes from frame to frame (jitter), what changes slowly (bias, an autoregressive process),
and what goes wrong for a while (a joint found elsewhere, left and right exchanged). The numbers of `MEASURED` are those
of a trained backbone on the embedded data set; `noise_fit.py` says how they are found in any estimates.
"""

import dataclasses

import numpy as np

from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class NoiseModel:
    """Errors of an estimator; sizes are shares of the person's size (`coordinates.body_size`), times are frames.

    Attributes:
      jitter: standard deviation of a coordinate's error that is new in each frame.
      bias: standard deviation of its slow error.
      memory: correlation of the slow error from one frame to the next.
      wrong_rate: chance that a joint that is right goes wrong in the next frame.
      wrong_frames: how long it stays so, the mean of a geometric distribution.
      wrong_size: how far off it is then, the mean of an exponential distribution.
      swap_rate: chance that a pair of joints or limbs that is right is exchanged in the next frame.
      swap_frames: how long it stays so, the mean of a geometric distribution.
      missing_rate, missing_frames: the same of joints that are not given at all; they become gaps.
    """

    jitter: float = 0.0
    bias: float = 0.0
    memory: float = 0.0
    wrong_rate: float = 0.0
    wrong_frames: float = 1.0
    wrong_size: float = 0.0
    swap_rate: float = 0.0
    swap_frames: float = 1.0
    missing_rate: float = 0.0
    missing_frames: float = 1.0

    def __post_init__(self) -> None:
        """Raises InputError that names the first number that no such process has."""
        for name in ("jitter", "bias", "wrong_size"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name}={getattr(self, name)} must not be negative")
        for name in ("memory", "wrong_rate", "swap_rate", "missing_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 0 and below 1")
        for name in ("wrong_frames", "swap_frames", "missing_frames"):
            if not getattr(self, name) >= 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1 frame")

    def scaled(self, factor: float) -> "NoiseModel":
        """The same estimator with all sizes times a factor; how often it errs stays."""
        sizes = {name: factor * getattr(self, name) for name in ("jitter", "bias", "wrong_size")}
        return dataclasses.replace(self, **sizes)

    def estimate(
        self, target: np.ndarray, size: float, pairs: tuple[tuple[int, int], ...], rng: np.random.Generator
    ) -> np.ndarray:
        """Poses as the estimator would give them.

        Args:
          target: float [T, K, D], the true poses.
          size: of the person, in the unit of the poses.
          pairs: joints that are exchanged where left and right are, in groups of neighbours: all pairs of a limb
            follow each other, limbs change where a pair has no joint beside the one before.
          rng: source of the errors.

        Returns:
          float32 [T, K, D], NaN at gaps.
        """
        frames, joints, dimensions = target.shape
        poses = np.array(target, np.float64)
        groups = limbs(pairs)
        exchanged = _spells(rng, frames, len(groups), self.swap_rate, self.swap_frames)
        for group in np.flatnonzero(exchanged.any(axis=0)):
            now = exchanged[:, group]
            for left, right in groups[group]:
                poses[np.ix_(now, [left, right])] = poses[np.ix_(now, [right, left])]
        shape = (frames, joints, dimensions)
        error = self.jitter * rng.standard_normal(shape) + self.bias * _slow(rng, shape, self.memory)
        wrong = _spells(rng, frames, joints, self.wrong_rate, self.wrong_frames)
        if wrong.any():
            # A joint that is wrong stays near one wrong place: direction and distance of the spell's first frame.
            way = rng.standard_normal(shape)
            new = np.concatenate([np.ones((1, joints), bool), wrong[1:] & ~wrong[:-1]])
            spell = np.maximum.accumulate(np.where(new, np.arange(frames)[:, None], 0), axis=0)
            away = way / np.linalg.norm(way, axis=-1, keepdims=True) * rng.exponential(1.0, (frames, joints, 1))
            away = np.take_along_axis(away, spell[..., None], axis=0)
            error += np.where(wrong[..., None], self.wrong_size * away, 0.0)
        poses += size * error
        poses[_spells(rng, frames, joints, self.missing_rate, self.missing_frames)] = np.nan
        return poses.astype(np.float32)


# Of `benchmarks/results/pose_noise.json`: a tiny backbone (AP 50) on 41-frame videos of the embedded data set. What it
# draws on the same people has the backbone's MPJPE within 3 %, its acceleration error within 16 % (docs/sequences.md).
MEASURED = NoiseModel(
    jitter=0.0088,
    bias=0.0161,
    memory=0.79,
    wrong_rate=0.14,
    wrong_frames=4.35,
    wrong_size=0.164,
    swap_rate=0.034,
    swap_frames=4.0,
)


def limbs(pairs: tuple[tuple[int, int], ...]) -> list[list[tuple[int, int]]]:
    """Pairs of joints in groups that estimators exchange together: neighbours in the order of the joints."""
    groups: list[list[tuple[int, int]]] = []
    for pair in sorted(pairs, key=min):
        if groups and abs(min(pair) - min(groups[-1][-1])) <= 1:
            groups[-1].append(pair)
        else:
            groups.append([pair])
    return groups


def _slow(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """A stationary autoregressive process of unit variance along the first axis."""
    drawn = rng.standard_normal(shape)
    drawn[1:] *= np.sqrt(1 - memory**2)
    for frame in range(1, shape[0]):
        drawn[frame] += memory * drawn[frame - 1]
    return drawn


def _spells(rng: np.random.Generator, frames: int, count: int, rate: float, length: float) -> np.ndarray:
    """bool [frames, count]: spells that begin by chance and last a geometric time; stationary from the first frame."""
    state = np.zeros((frames, count), bool)
    if rate == 0:
        return state
    ends, draws = 1 / length, rng.random((frames, count))
    state[0] = draws[0] < rate / (rate + ends)
    touched = np.flatnonzero(state[0] | (draws[1:] < rate).any(axis=0))  # in the others nothing begins
    for column in touched:
        now, drawn = bool(state[0, column]), draws[:, column].tolist()
        for frame in range(1, frames):
            now = drawn[frame] >= ends if now else drawn[frame] < rate
            state[frame, column] = now
    return state

"""A noise model fitted to estimates beside the true poses, by moments."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipeline.sequences.noise import NoiseModel, limbs
from jmpose_jax.errors import InputError
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.gaps import known_joints

WRONG = 0.05  # share of the person's size from which on a joint counts as wrong
GAIN = 0.5  # a pair is exchanged where that brings it at least so much closer


@dataclasses.dataclass(frozen=True)
class Fit:
    """A noise model and what it rests on.

    Attributes:
      model: the model.
      joints: joint frames that were looked at.
      wrong_share, swap_share, missing_share: of joint frames (of pairs of limbs, for the second).
      kurtosis: of the errors that are not wrong, over that of a Gaussian (0 is a Gaussian).
    """

    model: NoiseModel
    joints: int
    wrong_share: float
    swap_share: float
    missing_share: float
    kurtosis: float


def fit(
    poses: Sequence[np.ndarray], targets: Sequence[np.ndarray], pairs: tuple[tuple[int, int], ...], wrong: float = WRONG
) -> Fit:
    """The noise model of some estimates.

    The person's size makes errors comparable. Exchanged limbs are found first and put right; a joint that is off by
    more than `wrong` is wrong; of what is left, jitter and slow error follow from the correlation over one and two
    frames (jitter adds to the variance alone).

    Args:
      poses: one float [T, K, D] a sequence, NaN at gaps.
      targets: the true ones, NaN where they are not known.
      pairs: left and right joints.
      wrong: share of the person's size.

    Raises:
      InputError: there is no joint that both sides know.
    """
    moments, products = np.zeros(3), [[], [], []]
    wrong_spells, swap_spells, missing_spells = [], [], []
    sizes, groups = [], limbs(pairs)
    for found, target in zip(poses, targets):
        true = known_joints(target)
        given = known_joints(found) & true
        if not given.any():
            continue
        missing_spells.append((true & ~known_joints(found), true))
        scale = body_size(np.where(true[..., None], target, 0.0), true)
        put_right, exchanged, comparable = _unswapped(found, target, groups)
        swap_spells.append((exchanged, comparable))
        error = np.where(given[..., None], (put_right - target) / scale, np.nan)
        off = np.linalg.norm(error, axis=-1)
        is_wrong = given & (off > wrong)
        wrong_spells.append((is_wrong, given))
        sizes.extend(off[is_wrong].tolist())
        small = np.where(is_wrong[..., None], np.nan, error)
        moments += [np.nansum(small**2), np.nansum(small**4), np.isfinite(small).sum()]
        for lag in range(3):
            product = small[lag:] * small[: len(small) - lag]
            products[lag].append(product[np.isfinite(product)])
    if not moments[2]:
        raise InputError("no joint is known on both sides: there is no error to measure")
    variance, one, two = (float(np.mean(np.concatenate(each))) if len(each) else 0.0 for each in products)
    # Slow error of variance s² and memory m: covariances s² m and s² m² over one and two frames.
    memory = min(max(two / one, 0.0), 0.99) if one > 0 else 0.0
    slow = min(one / memory, variance) if memory > 0 else 0.0
    wrong_rate, wrong_frames, wrong_share = _chain(wrong_spells)
    swap_rate, swap_frames, swap_share = _chain(swap_spells)
    missing_rate, missing_frames, missing_share = _chain(missing_spells)
    model = NoiseModel(
        jitter=float(np.sqrt(max(variance - slow, 0.0))),
        bias=float(np.sqrt(max(slow, 0.0))),
        memory=memory,
        wrong_rate=wrong_rate,
        wrong_frames=wrong_frames,
        wrong_size=float(np.mean(sizes)) if sizes else 0.0,
        swap_rate=swap_rate,
        swap_frames=swap_frames,
        missing_rate=missing_rate,
        missing_frames=missing_frames,
    )
    second, fourth = moments[:2] / moments[2]
    kurtosis = float(fourth / second**2 - 3) if second > 0 else 0.0
    return Fit(model, int(moments[2]), wrong_share, swap_share, missing_share, kurtosis)


def _unswapped(found: np.ndarray, target: np.ndarray, groups: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses with exchanged limbs put right, where they were exchanged, and where that can be told: [T, limbs]."""
    put_right = np.array(found, np.float64)
    exchanged = np.zeros((len(found), len(groups)), bool)
    comparable = np.zeros_like(exchanged)
    for place, group in enumerate(groups):
        left, right = (np.array(side) for side in zip(*group))
        straight = _apart(found, target, left, left) + _apart(found, target, right, right)
        crossed = _apart(found, target, left, right) + _apart(found, target, right, left)
        comparable[:, place] = np.isfinite(straight)
        exchanged[:, place] = comparable[:, place] & (crossed < GAIN * straight)
        now = exchanged[:, place]
        put_right[np.ix_(now, np.r_[left, right])] = found[np.ix_(now, np.r_[right, left])]
    return put_right, exchanged, comparable


def _apart(found: np.ndarray, target: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float [T]: the distances of some joints from where others truly are, summed; NaN where one is not known."""
    return np.linalg.norm(found[:, a] - target[:, b], axis=-1).sum(axis=1)


def _chain(spells: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """Rate of beginnings, mean length in frames and share of a state, from (state, whether it is known) [T, n] each."""
    begun = ended = off = on = known_frames = state_frames = 0
    for state, known in spells:
        both = known[1:] & known[:-1]
        off += int((both & ~state[:-1]).sum())
        on += int((both & state[:-1]).sum())
        begun += int((both & ~state[:-1] & state[1:]).sum())
        ended += int((both & state[:-1] & ~state[1:]).sum())
        known_frames += int(known.sum())
        state_frames += int((state & known).sum())
    rate = begun / off if off else 0.0
    length = on / ended if ended else max(float(on), 1.0)
    return min(rate, 0.999), max(length, 1.0), state_frames / known_frames if known_frames else 0.0

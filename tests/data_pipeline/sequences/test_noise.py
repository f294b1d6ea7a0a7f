"""The noise of estimators: what is drawn has the numbers of its model."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.sequences.noise import MEASURED, NoiseModel, limbs
from data_pipeline.sequences.records import LSP14, mirror_pairs
from jmpose_jax.errors import InputError

PAIRS = mirror_pairs(LSP14)


def still(frames, seed=0):
    """A person who stands still, of size 1 or so."""
    pose = np.random.default_rng(seed).uniform(0, 1, (1, 14, 2))
    return np.repeat(pose, frames, axis=0)


def test_pairs_and_limbs_of_the_joints():
    assert set(PAIRS) == {(3, 2), (4, 1), (5, 0), (9, 8), (10, 7), (11, 6)}
    groups = [{frozenset(pair) for pair in group} for group in limbs(PAIRS)]
    assert groups == [
        {frozenset(p) for p in ((0, 5), (1, 4), (2, 3))},
        {frozenset(p) for p in ((6, 11), (7, 10), (8, 9))},
    ]


def test_no_noise_is_the_truth():
    target = still(9)
    np.testing.assert_array_equal(
        NoiseModel().estimate(target, 1.0, PAIRS, np.random.default_rng(0)), target.astype(np.float32)
    )


def test_jitter_and_slow_error_have_their_sizes():
    model = NoiseModel(jitter=0.02, bias=0.03, memory=0.8)
    target = still(4000)
    error = model.estimate(target, 2.0, PAIRS, np.random.default_rng(1)) - target
    assert error.std() == pytest.approx(2 * np.hypot(0.02, 0.03), rel=0.05)
    one_apart = (error[1:] * error[:-1]).mean()
    assert one_apart == pytest.approx(4 * 0.03**2 * 0.8, rel=0.1)


def test_spells_are_stationary_and_of_their_length():
    model = NoiseModel(missing_rate=0.02, missing_frames=5.0)
    gaps = np.isnan(model.estimate(still(3000), 1.0, PAIRS, np.random.default_rng(2))[..., 0])
    share = 0.02 / (0.02 + 1 / 5)
    assert gaps.mean() == pytest.approx(share, rel=0.15) and gaps[:300].mean() == pytest.approx(share, rel=0.5)
    ends = (gaps[:-1] & ~gaps[1:]).sum()
    assert gaps[:-1].sum() / ends == pytest.approx(5, rel=0.15)


def test_a_wrong_joint_stays_in_one_wrong_place():
    model = NoiseModel(wrong_rate=0.01, wrong_frames=6.0, wrong_size=0.3)
    target = still(2000)
    error = model.estimate(target, 1.0, PAIRS, np.random.default_rng(3)) - target
    wrong = np.linalg.norm(error, axis=-1) > 1e-6
    lasting = wrong[1:] & wrong[:-1]
    assert np.linalg.norm(np.diff(error, axis=0)[lasting], axis=-1).mean() < 0.05
    assert np.linalg.norm(error[wrong], axis=-1).mean() == pytest.approx(0.3, rel=0.25)


def test_limbs_are_exchanged_whole():
    model = NoiseModel(swap_rate=0.05, swap_frames=3.0)
    target = still(400).astype(np.float32)
    found = model.estimate(target, 1.0, PAIRS, np.random.default_rng(4))
    legs = (found[:, 0] == target[:, 5]).all(axis=1)
    assert 0 < legs.sum() < 400
    for left, right in ((5, 0), (4, 1), (3, 2)):
        np.testing.assert_array_equal(found[legs, left], target[legs, right])
        np.testing.assert_array_equal(found[~legs, left], target[~legs, left])


@pytest.mark.parametrize(
    "change", [{"jitter": -1.0}, {"memory": 1.0}, {"wrong_frames": 0.5}, {"swap_rate": float("nan")}]
)
def test_no_such_process(change):
    with pytest.raises(InputError, match=next(iter(change))):
        NoiseModel(**change)


def test_the_measured_model_scales():
    twice = MEASURED.scaled(2.0)
    assert twice.jitter == 2 * MEASURED.jitter and twice.wrong_rate == MEASURED.wrong_rate
    assert dataclasses.replace(twice, jitter=0.0).scaled(0.0).bias == 0

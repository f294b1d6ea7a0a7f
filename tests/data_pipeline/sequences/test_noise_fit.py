"""The fit finds the numbers of the model that estimates were drawn from."""

import numpy as np
import pytest

from data_pipeline.sequences.noise import NoiseModel
from data_pipeline.sequences.noise_fit import fit
from data_pipeline.sequences.records import LSP14, mirror_pairs
from jmpose_jax.errors import InputError
from jmpose_jax.refinement.coordinates import body_size

PAIRS = mirror_pairs(LSP14)


def still(frames, seed=0):
    """A person who stands still, of size 1 or so."""
    pose = np.random.default_rng(seed).uniform(0, 1, (1, 14, 2))
    return np.repeat(pose, frames, axis=0)


def test_the_fit_finds_the_numbers_again():
    truth = NoiseModel(
        jitter=0.008, bias=0.006, memory=0.7, wrong_rate=0.01, wrong_frames=4.0, wrong_size=0.4,
        swap_rate=0.01, swap_frames=3.0, missing_rate=0.01, missing_frames=4.0,
    )  # fmt: skip
    targets = [still(400, seed) for seed in range(6)]
    sizes = [body_size(target, np.ones(target.shape[:2], bool)) for target in targets]
    rng = np.random.default_rng(5)
    found = fit([truth.estimate(t, s, PAIRS, rng) for t, s in zip(targets, sizes)], targets, PAIRS).model
    for name, near in {"jitter": 0.15, "bias": 0.3, "memory": 0.25, "missing_rate": 0.3, "missing_frames": 0.3}.items():
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=near), name
    assert found.wrong_size == pytest.approx(0.4, rel=0.35) and found.wrong_frames == pytest.approx(4, rel=0.4)
    assert 0.002 < found.swap_rate < 0.02


def test_nothing_to_fit():
    gap = np.full((5, 14, 2), np.nan)
    with pytest.raises(InputError, match="no joint is known"):
        fit([gap], [gap], PAIRS)

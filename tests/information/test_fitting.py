"""Fitted estimators on pairs whose information is known, and the direction in which their gradients move it."""

import jax
import numpy as np
import pytest

from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.fitting import estimate, fit_critic, gaussian_information, gaussian_pairs

CASES = {1: 0.8, 64: 0.25}
SAMPLED = {name: kind.bound for name, kind in ESTIMATORS.items() if kind.critic}
# All in one dimension, one of each side in 64; benchmarks/information.py has all of them in all.
FITTED = [(d, name) for d in CASES for name in SAMPLED if d == 1 or name in ("club", "infonce")]


@pytest.mark.parametrize(("dimensions", "name"), FITTED)
def test_fitted_bounds_bracket_the_truth(dimensions, name):
    truth = gaussian_information(dimensions, CASES[dimensions])
    cheap = ESTIMATORS[name].critic == "gaussian" or name == "mine"
    options = dict(steps=600, batch_size=256) if cheap else dict(steps=250, batch_size=64)
    # In 64 dimensions a hidden layer of 32 units cannot carry the conditional mean.
    hidden = 256 if cheap and dimensions == 64 else 64
    critic = fit_critic(name, *gaussian_pairs(12000, dimensions, CASES[dimensions]), hidden=hidden, **options)
    found = float(estimate(name, *gaussian_pairs(800, dimensions, CASES[dimensions], seed=1), critic).bound)
    noise = 0.1 + 0.05 * truth
    if SAMPLED[name] == "upper":
        # With the true conditional CLUB is d ρ² / (1 - ρ²), the sum of both KL directions.
        loosest = dimensions / (CASES[dimensions] ** -2 - 1)
        assert truth - noise < found < 1.2 * loosest + noise, found
    else:
        assert found < truth + noise, found
        assert found > (0.4 if dimensions < 64 else 0.01) * truth, found


@pytest.mark.parametrize("name", SAMPLED)
def test_gradients_move_the_information_the_right_way(name):
    """y = a x + noise has I = ½ log(1 + a²): raising the bound must raise a, lowering it must lower a."""
    x, noise = np.random.default_rng(0).normal(size=(2, 2000, 1)).astype(np.float32)
    critic = fit_critic(name, x, x + noise, steps=200, batch_size=64)
    few = slice(0, 400)

    @jax.jit
    def slope(a, x, noise):
        return jax.grad(lambda a: ESTIMATORS[name].function(x, a * x + noise, critic).bound)(a)

    assert float(slope(np.float32(1), x[few], noise[few])) > 0.05


def test_information_of_independent_pairs_is_nothing():
    assert gaussian_information(4, 0.0) == 0.0
    x, y = gaussian_pairs(4000, 4, 0.0)
    for name in ("club", "mine"):
        critic = fit_critic(name, x[:3000], y[:3000], steps=100)
        assert abs(float(estimate(name, x[3000:], y[3000:], critic).bound)) < 0.1

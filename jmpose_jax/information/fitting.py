"""Fit an estimator's critic to samples, and Gaussian pairs whose information is known."""

import functools
from typing import Any

import jax
import numpy as np
import optax

from jmpose_jax.information.critics import Critic, init_critic
from jmpose_jax.information.estimators import Estimate, get_estimator


def gaussian_pairs(count: int, dimensions: int, correlation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Jointly Gaussian x and y, float32 [count, dimensions] each, correlated coordinate by coordinate."""
    x, noise = np.random.default_rng(seed).normal(size=(2, count, dimensions))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    return x.astype(np.float32), y.astype(np.float32)


def gaussian_information(dimensions: int, correlation: float) -> float:
    """I(x; y) of `gaussian_pairs` in nats: -d/2 log(1 - ρ²)."""
    return float(-0.5 * dimensions * np.log1p(-(correlation**2)))


def fit_critic(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int = 500,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    hidden: int = 64,
    seed: int = 0,
) -> Critic:
    """Fit the critic of an estimator on samples, by Adam.

    Args:
      name: of an estimator on samples.
      x: float32 [N, dx].
      y: float32 [N, dy].
      steps, batch_size, learning_rate: of the fit; the rate falls to zero along a cosine.
      hidden: width of the critic.
      seed: of initialisation and batches.

    Returns:
      The critic's parameters.
    """
    kind = get_estimator(name)
    key = jax.random.key(seed, impl="rbg")
    critic = jax.jit(functools.partial(init_critic, kind.critic), static_argnums=(1, 2, 3))(
        key, x.shape[1], y.shape[1], hidden
    )
    choices = np.random.default_rng(seed).integers(0, len(x), (steps, batch_size))
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    @jax.jit
    def run(critic: Critic, x: jax.Array, y: jax.Array, choices: jax.Array) -> Critic:
        def step(carry: tuple[Critic, Any], chosen: jax.Array) -> tuple[tuple[Critic, Any], None]:
            critic, state = carry
            gradient = jax.grad(lambda c: kind.function(x[chosen], y[chosen], c).fit)(critic)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(critic, updates), state), None

        return jax.lax.scan(step, (critic, optimizer.init(critic)), choices)[0][0]

    return run(critic, x, y, choices)


def estimate(name: str, x: np.ndarray, y: np.ndarray, critic: Critic) -> Estimate:
    """The estimate of a fitted critic on samples that it was not fitted on."""
    return jax.jit(get_estimator(name).function)(x, y, critic)

"""The networks that sample-based estimators fit: a Gaussian conditional and a score of pairs (as CLUB's code)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

HIDDEN = 64
Critic = dict[str, Any]

_kernel = nn.initializers.lecun_normal()
_dot = jax.lax.Precision.HIGHEST


def init_critic(kind: str, key: jax.Array, x_features: int, y_features: int, hidden: int = HIDDEN) -> Critic:
    """Fresh parameters of a critic.

    Args:
      kind: "gaussian", q(y|x), or "pair", f(x, y).
      key: PRNG key.
      x_features: width of x.
      y_features: width of y.
      hidden: width of the hidden layer; the two networks of a Gaussian have half of it each.

    Returns:
      Parameters for `gaussian`, `pair_scores` and `matched_scores`.
    """
    keys = jax.random.split(key, 4)
    if kind == "gaussian":
        half = hidden // 2
        return {
            "mean": _two_layers(keys[0], keys[1], x_features, half, y_features),
            "log_variance": _two_layers(keys[2], keys[3], x_features, half, y_features),
        }
    # One kernel for x and y side by side, so that both are drawn with the fan-in of the sum.
    kernel = _kernel(keys[0], (x_features + y_features, hidden))
    return {
        "x_kernel": kernel[:x_features],
        "y_kernel": kernel[x_features:],
        "bias": jnp.zeros(hidden),
        "out_kernel": _kernel(keys[1], (hidden, 1)),
        "out_bias": jnp.zeros(1),
    }


def _two_layers(first: jax.Array, second: jax.Array, inputs: int, hidden: int, outputs: int) -> Critic:
    return {
        "kernel1": _kernel(first, (inputs, hidden)),
        "bias1": jnp.zeros(hidden),
        "kernel2": _kernel(second, (hidden, outputs)),
        "bias2": jnp.zeros(outputs),
    }


def _apply(layers: Critic, x: jax.Array) -> jax.Array:
    x = nn.relu(jnp.dot(x, layers["kernel1"], precision=_dot) + layers["bias1"])
    return jnp.dot(x, layers["kernel2"], precision=_dot) + layers["bias2"]


def gaussian(critic: Critic, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and log variance of q(y|x), [N, dy] each; the log variance lies between -1 and 1."""
    return _apply(critic["mean"], x), jnp.tanh(_apply(critic["log_variance"], x))


def pair_scores(critic: Critic, x: jax.Array, y: jax.Array) -> jax.Array:
    """f(x_b, y_a) of all pairs, float32 [N, N], row a for y_a."""
    from_x, from_y = _halves(critic, x, y)
    return _score(critic, from_x[None] + from_y[:, None])


def matched_scores(critic: Critic, x: jax.Array, y: jax.Array) -> jax.Array:
    """f(x_a, y_a), float32 [N]."""
    from_x, from_y = _halves(critic, x, y)
    return _score(critic, from_x + from_y)


def _halves(critic: Critic, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.dot(x, critic["x_kernel"], precision=_dot), jnp.dot(y, critic["y_kernel"], precision=_dot)


def _score(critic: Critic, hidden: jax.Array) -> jax.Array:
    hidden = nn.relu(hidden + critic["bias"])
    return (jnp.dot(hidden, critic["out_kernel"], precision=_dot) + critic["out_bias"])[..., 0]

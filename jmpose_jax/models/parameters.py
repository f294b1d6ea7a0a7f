"""Layers of Flax that look at their parameters' shapes without tracing how they would be drawn.

Flax traces the initialiser of every parameter to learn the shape that a given value must have. Of a network with many
layers that takes as long as to trace the network itself, and each command does it anew.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np


def shape_alone(key: jax.Array, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """In place of an initialiser whose value nobody needs: zeros of its shape, in the memory of one."""
    return np.broadcast_to(np.zeros((), dtype), shape)


class Shaped(nn.Module):
    """A layer whose initialisers are called when a parameter is made, and not when it is given."""

    def param(self, name: str, init_fn: Callable[..., Any], *init_args: Any, **init_kwargs: Any) -> Any:
        """As `flax.linen.Module.param`, for initialisers that are called with (key, shape, dtype).

        Raises:
          flax.errors.ScopeParamShapeError: the given value has another shape.
        """
        known = self.has_variable("params", name)
        return super().param(name, shape_alone if known else init_fn, *init_args, **init_kwargs)


class Conv(Shaped, nn.Conv):
    """`flax.linen.Conv`."""

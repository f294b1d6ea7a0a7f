"""Variational predictors of TIPSD's information terms: what the features of part groups say about their joints."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.critics import init_critic
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.pooling import standardize_maps
from jmpose_jax.information.predictors import FEATURES, PREDICTOR_INITIALIZERS

PART_TERMS = ("com", "var", "red")
DIVERGENCES = ("vml_js", "vml_kl")
HINGE = "hinge"
CHOICES = {
    "com": ("vsd", *DIVERGENCES),
    "var": (*DIVERGENCES, HINGE),
    "red": (*DIVERGENCES, *(name for name, kind in ESTIMATORS.items() if kind.critic)),
}
DEFAULTS = {"com": "vsd", "var": "vml_js", "red": "vml_js"}
COMPLEMENTS = ("sufficient", "conditional")


@flax.struct.dataclass
class PartLogits:
    """Heatmap logits of every joint of every group, float32 [B, h, w, P], P the joints of all groups side by side.

    Attributes:
      group: from the group's feature f_g.
      key: from the key frame's feature F_t; None where not needed.
      both: from f_g and F_t side by side; None where not needed.
    """

    group: jax.Array
    key: jax.Array | None = None
    both: jax.Array | None = None


@flax.struct.dataclass
class PartPredictions:
    """The same numbers twice, with the gradient let through to one side or the other, and parameters of critics.

    Attributes:
      terms: gradients reach the groups' features only: what the information terms read.
      fit: gradients reach the predictors only: what their own fitting loss reads.
      critics: parameters of a critic a group, where the redundancy's estimator has one.
      groups: the joints of each group; static.
      estimators: (term, estimator); static.
      complementary: "sufficient" or "conditional", see `part_objective.part_terms`; static.
      features: "raw" or "standardized", what predictors and divergences read; static.
    """

    terms: PartLogits
    fit: PartLogits
    critics: tuple[Any, ...] = ()
    groups: tuple[tuple[int, ...], ...] = flax.struct.field(pytree_node=False, default=())
    estimators: tuple[tuple[str, str], ...] = flax.struct.field(pytree_node=False, default=())
    complementary: str = flax.struct.field(pytree_node=False, default="sufficient")
    features: str = flax.struct.field(pytree_node=False, default="standardized")


def resolve_part_estimators(estimators: Mapping[str, str] | None) -> dict[str, str]:
    """Estimator of every term, the defaults where none is given.

    Raises:
      InputError: an unknown term, or an estimator that the term cannot have.
    """
    chosen = DEFAULTS | dict(estimators or {})
    for term, name in chosen.items():
        if term not in CHOICES:
            raise InputError(f"predictors.estimators: {term!r} is no information term; use {', '.join(PART_TERMS)}")
        if name not in CHOICES[term]:
            raise InputError(f"predictors.estimators.{term}={name!r}: choose one of {', '.join(CHOICES[term])}")
    return chosen


class PartPredictors(nn.Module):
    """Linear maps to heatmap logits, one a joint and group, and critics for estimators on samples.

    The defaults keep the terms from being escaped: nothing is known at the start, and what the maps read has variance 1
    in every channel, so that smaller features change nothing.

    Attributes:
      groups: the joints of each group.
      estimators: term -> estimator. com: vsd, vml_js, vml_kl; var: vml_js, vml_kl, hinge; red: vml_js, vml_kl, or on
        samples club, vclub_s, l1out (upper bounds), infonce, mine, nwj (lower bounds).
      complementary: "sufficient", L_com raises I(y; f), or "conditional", I(y; f | F).
      kernel_init: of the linear maps, "zeros" or "fan_in".
      features: "standardized" (each channel of each clip with mean 0 and variance 1) or "raw".
    """

    groups: tuple[tuple[int, ...], ...]
    estimators: Mapping[str, str] | None = None
    complementary: str = "sufficient"
    kernel_init: str = "zeros"
    features: str = "standardized"

    @nn.compact
    def __call__(self, parts: jax.Array, key: jax.Array) -> PartPredictions:
        """Args: f_g of all groups [G, B, h, w, C], F_t [B, h, w, C]. Returns: the predictions."""
        choices = {"kernel_init": PREDICTOR_INITIALIZERS, "features": FEATURES, "complementary": COMPLEMENTS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"predictors.{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        estimators = resolve_part_estimators(self.estimators)
        key = jax.lax.stop_gradient(key)  # the key frame's feature teaches, it is not taught
        if self.features == "standardized":
            parts, key = jax.vmap(standardize_maps)(parts), standardize_maps(key)
        inputs = {"group": list(parts)}
        if self.complementary == "conditional":
            inputs |= {
                "key": [key] * len(self.groups),
                "both": [jnp.concatenate([part, key], -1) for part in parts],
            }
        made = {name: self._linear(name, x) for name, x in inputs.items()}
        kind, channels = ESTIMATORS[estimators["red"]].critic, key.shape[-1]
        critics = tuple(
            self.param(f"red_critic{g}", lambda rng: init_critic(kind, rng, channels, channels))
            for g in range(len(self.groups) if kind else 0)
        )
        terms, fit = (PartLogits(**{name: pair[side] for name, pair in made.items()}) for side in (0, 1))
        return PartPredictions(
            terms, fit, critics, self.groups, tuple(estimators.items()), self.complementary, self.features
        )

    def _linear(self, name: str, inputs: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Logits of all joints of all groups, gradient to the features, and the same, gradient to the map."""
        sizes = [len(group) for group in self.groups]
        shape = (sum(sizes), inputs[0].shape[-1])
        kernel = self.param(f"{name}_kernel", PREDICTOR_INITIALIZERS[self.kernel_init], shape)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, shape[:1])

        def logits(kernel: jax.Array, bias: jax.Array, inputs: list[jax.Array]) -> jax.Array:
            start, found = 0, []
            for x, size in zip(inputs, sizes):
                found.append(jnp.matmul(x, kernel[start : start + size].T, precision=jax.lax.Precision.HIGHEST))
                start += size
            return jnp.concatenate(found, -1) + bias

        stop = jax.lax.stop_gradient
        return logits(stop(kernel), stop(bias), inputs), logits(kernel, bias, stop(inputs))

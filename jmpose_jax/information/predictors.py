"""Variational predictors and critics: what the features of a layer say about the aggregated heatmaps."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.choice import resolve_estimators
from jmpose_jax.information.critics import init_critic
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.pooling import standardize_maps

FEATURES = ("raw", "standardized")
PREDICTOR_INITIALIZERS = {"fan_in": nn.initializers.lecun_normal(), "zeros": nn.initializers.zeros}


@flax.struct.dataclass
class PredictorLogits:
    """Heatmap logits from the joint feature, the motion feature, and both; float32 [B, h, w, K], None where not needed.

    Attributes:
      joint: from J^i.
      motion: from M^i.
      both: from J^i and M^i side by side.
    """

    joint: jax.Array | None = None
    motion: jax.Array | None = None
    both: jax.Array | None = None


@flax.struct.dataclass
class LayerPredictions:
    """The same numbers twice, with the gradient let through to one side or the other, and parameters of critics.

    Attributes:
      terms: gradients reach the features only: what the information terms read.
      fit: gradients reach the predictors only: what their own fitting loss reads.
      critics: parameters of the critics that estimators on samples need, by the term they serve.
      estimators: (term, estimator) that they were made for, in the order of terms; static.
      features: "raw" or "standardized", what the predictors read; static.
    """

    terms: PredictorLogits
    fit: PredictorLogits
    critics: dict[str, Any] = flax.struct.field(default_factory=dict)
    estimators: tuple[tuple[str, str], ...] = flax.struct.field(pytree_node=False, default=())
    features: str = flax.struct.field(pytree_node=False, default="raw")


class InformationPredictors(nn.Module):
    """The q of the variational bounds of Eq. 13: linear maps to heatmap logits, and critics for estimators on samples.

    Attributes:
      num_joints: K.
      estimators: term -> estimator of the information terms, the defaults where none is given; says which maps and
        critics there are. vsd, vcd, vml_js, vml_kl or vsd_public on the maps that the predictors make; club, vclub_s or
        l1out (upper bounds), infonce, mine or nwj (lower bounds) on samples, with a critic each.
      kernel_init: of the linear maps. "fan_in" starts with confident guesses, since the temperature of the softmax
        multiplies them: tens of nats, which are noise. "zeros" starts with flat distributions: nothing is known yet.
      features: what the linear maps and the divergence of relevancy read: "raw", or "standardized", each channel with
        variance 1.
    """

    num_joints: int
    estimators: Mapping[str, str] | None = None
    kernel_init: str = "fan_in"
    features: str = "raw"

    @nn.compact
    def __call__(self, joint: jax.Array, motion: jax.Array) -> LayerPredictions:
        """Args: J^i and M^i, both [B, h, w, C]. Returns: the predictions of the layer."""
        for name, choices in (("kernel_init", tuple(PREDICTOR_INITIALIZERS)), ("features", FEATURES)):
            if getattr(self, name) not in choices:
                raise InputError(f"predictors {name}={getattr(self, name)!r}: choose one of {', '.join(choices)}")
        estimators = resolve_estimators(self.estimators)
        if self.features == "standardized":
            joint, motion = standardize_maps(joint), standardize_maps(motion)
        inputs = {"joint": joint, "motion": motion, "both": jnp.concatenate([joint, motion], -1)}
        needed = {"complement": ("joint",), "redundancy": ("motion", "both")}
        names = [n for term, heads in needed.items() if not ESTIMATORS[estimators[term]].critic for n in heads]
        init = PREDICTOR_INITIALIZERS[self.kernel_init]
        terms, fit = {}, {}
        for name in names:
            x = inputs[name]
            kernel = self.param(f"{name}_kernel", init, (x.shape[-1], self.num_joints))
            bias = self.param(f"{name}_bias", nn.initializers.zeros, (self.num_joints,))
            terms[name] = x @ jax.lax.stop_gradient(kernel) + jax.lax.stop_gradient(bias)
            fit[name] = jax.lax.stop_gradient(x) @ kernel + bias
        critics = self._critics(estimators, joint.shape[-1])
        logits = PredictorLogits(**terms), PredictorLogits(**fit)
        return LayerPredictions(*logits, critics, tuple(estimators.items()), self.features)

    def _critics(self, estimators: Mapping[str, str], channels: int) -> dict[str, Any]:
        maps = self.num_joints + 2  # the width of `pooling.describe_maps`
        widths = {
            "relevancy": {"relevancy": (channels, channels)},
            "complement": {"complement": (channels, maps)},
            "redundancy": {"redundancy_both": (2 * channels, maps), "redundancy_motion": (channels, maps)},
        }
        critics = {}
        for term, made in widths.items():
            kind = ESTIMATORS[estimators[term]].critic
            for name, (x, y) in made.items() if kind else ():
                critics[name] = self.param(
                    f"{name}_critic", lambda key, kind=kind, x=x, y=y: init_critic(kind, key, x, y)
                )
        return critics

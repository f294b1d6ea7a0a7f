"""TDMI's objective: the heatmap loss, and seven terms of mutual information between its features and heatmaps."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.estimators import ESTIMATORS
from jmpose_jax.information.objective import reference_nats
from jmpose_jax.losses.heatmap import HeatmapObjective
from jmpose_jax.losses.objective import Terms
from jmpose_jax.records import ClipBatch, TDMIOutput

# Term -> the two features that share the information, and its factors in the sums of α, β and γ.
PAIRS = {
    "useful_noisy": ("useful", "noisy", (2.0, 0.0, 0.0)),
    "motion_useful": ("motion", "useful", (-1.0, 0.0, 0.0)),
    "useful_appearance": ("useful", "appearance", (0.0, 1.0, 0.0)),
    "useful_fused": ("useful", "fused", (0.0, -1.0, -1.0)),
    "appearance_fused": ("appearance", "fused", (0.0, -1.0, -1.0)),
    "useful_label": ("useful_labels", "heatmaps", (0.0, 0.0, 1.0)),
    "appearance_label": ("appearance_labels", "heatmaps", (0.0, 0.0, 1.0)),
}
CHOICES = ("vsd_public", "vml_js", "vml_kl", "vsd")


@dataclasses.dataclass(frozen=True)
class TDMIObjective(HeatmapObjective):
    """L = L_H + α (2 I(F_m; F_n) - I(m; F_m)) + β (I(F_m; F_a) - I(F_m; F) - I(F_a; F)) + γ (I(F_m; y) - I(F_m; F)
    + I(F_a; y) - I(F_a; F)), y the heatmaps (Feng et al., CVPR 2023, by the signs of the public code).

    Attributes:
      sigma, target: as in HeatmapObjective.
      estimator: "vsd_public", what the public code computes (`information.estimators.vsd_public`: close to an entropy
        of the second feature, which alone gets a gradient but in the first term), or an information that grows with
        agreement, in nats over pixels: log 2 - JS ("vml_js"), log pixels - KL ("vml_kl" both ways, "vsd" one way).
      temperature: of the softmax over pixels, for heatmaps.
      feature_temperature: the same for features; 0.05 as published, with which softmaxes of large features are peaks.
      alpha, beta, gamma: α of the useful motion, β of what the two kinds of features share, γ of the rest.
      weights: of the terms, which α, β, γ and the signs are multiplied with.
    """

    estimator: str = "vsd_public"
    temperature: float = 0.05
    feature_temperature: float = 0.05
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(TDMIObjective.TERMS, 1.0))

    TERMS: ClassVar[tuple[str, ...]] = ("heatmap", *PAIRS)

    def __post_init__(self):
        if self.estimator not in CHOICES:
            raise InputError(f"loss.estimator={self.estimator!r}: choose one of {', '.join(CHOICES)}")
        for name in ("temperature", "feature_temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"loss.{name}={getattr(self, name)} must be above 0")
        if missing := [term for term in self.TERMS if term not in self.weights]:
            raise InputError(f"loss.weights lacks {', '.join(missing)}; give each term a weight, 0 to leave it out")

    def __call__(self, output: TDMIOutput, batch: ClipBatch) -> Terms:
        """The loss terms: "heatmap", and each pair's information.

        Args:
          output: of TDMI.
          batch: the clips it was computed from.
        """
        count = jnp.sum(batch.valid)
        terms = dict(super().__call__(output, batch))
        for name, (first, second, _) in PAIRS.items():
            of_labels = second == "heatmaps"
            value = self._information(
                getattr(output, first),
                getattr(output, second),
                batch.valid,
                self.temperature if of_labels else self.feature_temperature,
                freeze=name != "useful_noisy",
            )
            terms[name] = (value * count, count)
        return terms

    def term_weights(self) -> dict[str, float]:
        """Every product made."""
        factors = {
            name: sum(a * b for a, b in zip(signs, (self.alpha, self.beta, self.gamma)))
            for name, (_, _, signs) in PAIRS.items()
        }
        return {name: factors.get(name, 1.0) * weight for name, weight in self.weights.items()}

    def _information(
        self, first: jax.Array, second: jax.Array, valid: jax.Array, temperature: float, freeze: bool
    ) -> jax.Array:
        """Mean over clips, channels and pixels, scalar; maps [B, h, w, C]."""
        size, height, width, channels = first.shape
        pixels = height * width
        x, y = (maps.reshape(size, pixels, channels) for maps in (first, second))
        options = {"freeze": freeze} if self.estimator in ("vsd", "vsd_public") else {}
        estimate = ESTIMATORS[self.estimator].function
        value = estimate(x, y, weights=valid, temperature=temperature, axis=1, **options).bound
        if self.estimator == "vsd_public":
            return value
        return (reference_nats(self.estimator, pixels, size) - value) / pixels

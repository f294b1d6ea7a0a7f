"""JM-Pose's objective (Eq. 16): the heatmap loss, and the information orthogonality loss (Eq. 13) of every layer."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.choice import INFORMATION_TERMS
from jmpose_jax.information.objective import (
    NORMALIZATIONS,
    TERMS,
    empty_heatmap_loss,
    orthogonality_terms,
    term_scales,
)
from jmpose_jax.losses.heatmap import HeatmapObjective
from jmpose_jax.losses.objective import Terms
from jmpose_jax.records import ClipBatch, JMPoseOutput


@dataclasses.dataclass(frozen=True)
class JMPoseObjective(HeatmapObjective):
    """L = L_H + α Σ λ_term · Σ_i term^i (Eq. 16), and the fit of the predictors.

    Which estimators the terms have, and of which features, the predictions say: the model made them for that.

    Attributes:
      sigma, target: as in HeatmapObjective.
      temperature: of the softmax over pixels in the information terms.
      normalization: unit of the information terms: "pixels" (nats over pixels, as public code has it) or "heatmap_loss"
        (α = 1 starts near L_H with any estimator; λ are then relative to the heatmap's weight).
      alpha: α, multiplies the information terms.
      weights: of the terms; λ of the information terms.
    """

    temperature: float = 0.1
    normalization: str = "pixels"
    alpha: float = 1.0
    weights: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"heatmap": 1.0} | dict.fromkeys(INFORMATION_TERMS, 0.05) | {"predictor_fit": 1.0}
    )

    TERMS: ClassVar[tuple[str, ...]] = ("heatmap", *TERMS)

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"loss.normalization={self.normalization!r} is unknown; use one of {', '.join(NORMALIZATIONS)}"
            )
        if missing := [term for term in self.TERMS if term not in self.weights]:
            raise InputError(f"loss.weights lacks {', '.join(missing)}; give each term a weight, 0 to leave it out")

    def __call__(self, output: JMPoseOutput, batch: ClipBatch) -> Terms:
        """The loss terms.

        Args:
          output: of JM-Pose.
          batch: the clips it was computed from.

        Returns:
          "heatmap" always; "relevancy", "complement", "redundancy" and "predictor_fit" where the model has predictors.
        """
        terms = dict(super().__call__(output, batch))
        if output.predictions:
            terms |= self._orthogonality(output, batch)
        return terms

    def term_weights(self) -> dict[str, float]:
        """L = L_H + α Σ λ_term · term, every product made."""
        relative = self.weights["heatmap"] if self.normalization == "heatmap_loss" else 1.0
        return {
            name: self.alpha * relative * weight if name in INFORMATION_TERMS else weight
            for name, weight in self.weights.items()
        }

    def _orthogonality(self, output: JMPoseOutput, batch: ClipBatch) -> Terms:
        """Σ_i L_IO^i term by term; (sum over clips, count of clips)."""
        size, height, width, joints = output.aggregated.shape
        scales = term_scales(
            self.normalization,
            dict(output.predictions[0].estimators),
            pixels=height * width,
            samples=size * joints,
            layers=len(output.layers),
            empty_loss=empty_heatmap_loss(self.sigma, height * width),
        )
        totals = dict.fromkeys(TERMS, jnp.zeros(()))
        for (joint, motion), predictions in zip(output.layers, output.predictions):
            terms = orthogonality_terms(
                joint, motion, predictions, output.aggregated, valid=batch.valid, temperature=self.temperature
            )
            totals = {name: totals[name] + terms[name] for name in TERMS}
        count = jnp.sum(batch.valid)
        return {name: (totals[name] * scales[name] * count, count) for name in TERMS}

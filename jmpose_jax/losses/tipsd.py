"""TIPSD's objective: the localisation error, γ_info L_info and γ_s L_s (supplement, section I).

A reconstruction. The supplement names the terms and their weights; the formulas are ours.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.information.objective import NORMALIZATIONS, empty_heatmap_loss
from jmpose_jax.information.part_objective import TEACHERS, part_term_scales, part_terms
from jmpose_jax.information.part_objective import TERMS as INFORMATION
from jmpose_jax.information.part_predictors import PART_TERMS
from jmpose_jax.losses.heatmap import HeatmapObjective, heatmap_loss
from jmpose_jax.losses.objective import Terms
from jmpose_jax.ops.heatmaps import encode
from jmpose_jax.records import ClipBatch, TIPSDOutput

SYNTHESIS = ("synthesis", "consistency")
BEST = {"info": 1.0, "s": 0.1, "com": 1.0, "var": 1.0, "red": 1.0}  # of the supplement's tables


@dataclasses.dataclass(frozen=True)
class TIPSDObjective(HeatmapObjective):
    """L = L_H + γ_info (γ_com L_com + γ_var L_var + γ_red L_red) + γ_s L_s, and the fit of the predictors.

    L_s = synthesis + consistency: the key frame's maps, synthesized from its neighbours alone, against its labels, and
    the interim maps against those of the frames in reverse order. Both are in units of L_H. The key frame of a clip is
    always a labelled one, so sparse labels serve as well; a clip in which no joint is labelled counts nothing.

    Attributes:
      sigma, target: as in HeatmapObjective.
      temperature: of the softmax over pixels of heatmaps and predictions in the information terms.
      feature_temperature: of the softmax over pixels of features in L_var and L_red.
      normalization: unit of the information terms: "heatmap_loss" (all γ at 1 start near L_H) or "pixels" (nats over
        pixels, as public code of the lineage has it).
      teacher: who teaches whom in L_com, see `part_terms`: "labels", "output" or "groups".
      gamma: γ_info, γ_s, γ_com, γ_var and γ_red, not negative. Arrays of the compiled step, as the weights.
      weights: of the terms, beside γ. Those of synthesis and consistency, and with "heatmap_loss" those of the
        information terms, are relative to the heatmap's.
    """

    temperature: float = 0.1
    feature_temperature: float = 1.0
    normalization: str = "heatmap_loss"
    teacher: str = "labels"
    gamma: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(BEST))
    weights: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(("heatmap", *INFORMATION, *SYNTHESIS), 1.0)
    )

    TERMS: ClassVar[tuple[str, ...]] = ("heatmap", *INFORMATION, *SYNTHESIS)

    def __post_init__(self) -> None:
        for name, known in (("normalization", NORMALIZATIONS), ("teacher", TEACHERS)):
            if getattr(self, name) not in known:
                raise InputError(f"loss.{name}={getattr(self, name)!r} is unknown; use one of {', '.join(known)}")
        if missing := [term for term in self.TERMS if term not in self.weights]:
            raise InputError(f"loss.weights lacks {', '.join(missing)}; give each term a weight, 0 to leave it out")
        if self.gamma.keys() != BEST.keys():
            raise InputError(f"loss.gamma has {', '.join(self.gamma)}; give {', '.join(BEST)}, each once")
        for name, value in self.gamma.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InputError(f"loss.gamma.{name}={value}: must be a number that is not negative")

    def check_dataset(self, dataset: Mapping[str, object]) -> None:
        """Raises InputError where training clips would lack what a term reads; `dataset` is `config.dataset`."""
        if self.gamma["s"] > 0 and not dataset["complete_windows"]:
            raise InputError(
                f"loss.gamma.s={self.gamma['s']} synthesizes the key frame from both its neighbours: set "
                "dataset.complete_windows=True, which leaves out clips that lack one, or loss.gamma.s=0"
            )

    def __call__(self, output: TIPSDOutput, batch: ClipBatch) -> Terms:
        """The loss terms.

        Args:
          output: of TIPSD.
          batch: the clips it was computed from.

        Returns:
          "heatmap" always; "com", "var", "red" and "predictor_fit" where the model has predictors; "synthesis" and
          "consistency" where it synthesized for them.
        """
        terms = dict(super().__call__(output, batch))
        size = output.heatmaps.shape[1:3]
        stride = batch.frames.shape[2] // size[0]
        targets, weights = encode(
            batch.keypoints, batch.joint_weights, heatmap_size=size, stride=stride, sigma=self.sigma, mode=self.target
        )
        if output.predictions is not None:
            terms |= self._information(output, targets, weights, batch.valid)
        if output.skipped is not None:
            terms["synthesis"] = heatmap_loss(output.skipped, targets, weights, batch.valid)
        if output.backward is not None:
            terms["consistency"] = _consistency(output.interim, output.backward, batch.valid)
        return terms

    def term_weights(self) -> dict[str, float]:
        """Every product of γ and weights made."""
        heatmap, gamma, found = self.weights["heatmap"], self.gamma, dict(self.weights)
        relative = heatmap if self.normalization == "heatmap_loss" else 1.0
        for name in PART_TERMS:
            found[name] = gamma["info"] * gamma[name] * relative * self.weights[name]
        for name in SYNTHESIS:
            found[name] = gamma["s"] * heatmap * self.weights[name]
        return found

    def _information(self, output: TIPSDOutput, targets: jax.Array, weights: jax.Array, valid: jax.Array) -> Terms:
        """The terms of L_info; (sum over clips, count of clips)."""
        size, height, width, _ = targets.shape
        predictions = output.predictions
        found = part_terms(
            output.parts,
            output.key,
            predictions,
            targets,
            output.heatmaps,
            (weights > 0.5).astype(jnp.float32),
            valid,
            teacher=self.teacher,
            temperature=self.temperature,
            feature_temperature=self.feature_temperature,
        )
        scales = part_term_scales(
            self.normalization,
            predictions,
            pixels=height * width,
            samples=size * max(len(group) for group in predictions.groups),
            empty_loss=empty_heatmap_loss(self.sigma, height * width),
        )
        count = jnp.sum(valid)
        return {name: (found[name] * scales[name] * count, count) for name in INFORMATION}


def _consistency(forward: jax.Array, backward: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean squared difference of maps [B, 2, h, w, K], as (sum, count)."""
    error = jnp.sum(jnp.square(forward - backward), (1, 2, 3, 4))
    return jnp.sum(error * valid), jnp.sum(valid) * forward[0].size

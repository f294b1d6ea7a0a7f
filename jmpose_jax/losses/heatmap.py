"""The heatmap loss L_H (Eq. 15), and the objective of models that have no other."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmpose_jax.losses.objective import Terms
from jmpose_jax.ops.heatmaps import encode
from jmpose_jax.records import ClipBatch, PoseOutput


@dataclasses.dataclass(frozen=True)
class HeatmapObjective:
    """L_H alone.

    Attributes:
      sigma: standard deviation of the target Gaussians, heatmap pixels.
      target: "official" (the centre rounded to a pixel) or "exact" (sub-pixel), as in `ops.heatmaps.encode`.
      weights: of the terms.
    """

    sigma: float = 3.0
    target: str = "official"
    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"heatmap": 1.0})

    TERMS: ClassVar[tuple[str, ...]] = ("heatmap",)

    def __call__(self, output: PoseOutput, batch: ClipBatch) -> Terms:
        """The loss terms.

        Args:
          output: of any pose model.
          batch: the clips it was computed from.

        Returns:
          {"heatmap": (sum, count)}.
        """
        size = output.heatmaps.shape[1:3]
        stride = batch.frames.shape[2] // size[0]
        targets, weights = encode(
            batch.keypoints, batch.joint_weights, heatmap_size=size, stride=stride, sigma=self.sigma, mode=self.target
        )
        return {"heatmap": heatmap_loss(output.heatmaps, targets, weights, batch.valid)}

    def term_weights(self) -> dict[str, float]:
        """As the config gives them."""
        return dict(self.weights)


def heatmap_loss(
    heatmaps: jax.Array, targets: jax.Array, weights: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Squared error between heatmaps, joint by joint: (1/K) Σ_k mean over clips and pixels of (w p - w g)².

    The mean runs over all joints, those of weight 0 included, as in the lineage (which leaves HRNet's factor ½ out).

    Args:
      heatmaps: p, float32 [B, h, w, K].
      targets: g, float32 [B, h, w, K].
      weights: w, float32 [B, K].
      valid: float32 [B], 0 for the padding of a batch.

    Returns:
      (sum, count): float32 scalars; the loss is sum / count.
    """
    _, height, width, joints = heatmaps.shape
    error = jnp.sum(jnp.square(heatmaps - targets), (1, 2)) * jnp.square(weights)
    total = jnp.sum(error * valid[:, None])
    return total, jnp.sum(valid) * (height * width * joints)

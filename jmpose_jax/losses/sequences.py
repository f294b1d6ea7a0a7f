"""Losses of HANet, DeciWatch and SmoothNet: distances of refined poses from the true ones, coordinate by coordinate."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.losses.objective import Terms
from jmpose_jax.records import SequenceBatch, SequenceOutput

MUTUAL = ("symmetric", "better")
HARD_OF = 4  # the hard coordinates are about half: two for each 4


@dataclasses.dataclass(frozen=True)
class HANetObjective:
    """Spatial, temporal and online mutual learning, and the coordinates with the largest loss once more.

    Attributes:
      mutual: "symmetric", as the public code has it: both poses are drawn to each other. "better", as the paper means
        it: of each coordinate the poses with the larger error learn from those with the smaller one, which stay.
      hard_shares: of the spatial, temporal and mutual losses of a coordinate in the loss that the hard ones are found
        by, and that is their term.
      weights: of the terms. The published ones are λ = 5 for "spatial" on Sub-JHMDB and AIST++, 1 on 3DPW.
    """

    mutual: str = "symmetric"
    hard_shares: tuple[float, float, float] = (5.0, 1.0, 1.0)
    weights: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"spatial": 5.0, "temporal": 1.0, "mutual": 1.0, "hard": 1.0}
    )

    TERMS: ClassVar[tuple[str, ...]] = ("spatial", "temporal", "mutual", "hard")

    def __call__(self, output: SequenceOutput, batch: SequenceBatch) -> Terms:
        """The loss terms.

        Args:
          output: of HANet.
          batch: the sequences it was computed from.

        Returns:
          "spatial", the decoder's poses beside the true ones; "temporal", the encoder's at the seen frames; "mutual",
          the two beside each other there; "hard", the mean over the hard coordinates. Each is (sum, count); the count
          is of all labelled coordinates, for the seen frames too, as in the public code.

        Raises:
          InputError: `mutual` is neither.
        """
        if self.mutual not in MUTUAL:
            raise InputError(f"mutual={self.mutual!r} is not known; use one of {', '.join(MUTUAL)}")
        weight = _weight(batch)
        seen = weight * output.seen[:, None]
        spatial = _by_coordinate(output.poses - batch.target, weight)
        temporal = _by_coordinate(output.encoder_poses - batch.target, seen)
        count = jnp.sum(weight)
        final, refined = output.poses, output.encoder_poses
        if self.mutual == "better":
            at_seen = _by_coordinate(final - batch.target, seen)
            worse = at_seen > temporal  # of the decoder's coordinates, on the same frames
            final = jnp.where(worse, final, jax.lax.stop_gradient(final))
            refined = jnp.where(worse, jax.lax.stop_gradient(refined), refined)
        mutual = _by_coordinate(final - refined, seen)
        a, b, c = self.hard_shares
        channels = batch.target.shape[-1]
        hard = jax.lax.top_k(a * spatial + b * temporal + c * mutual, max(2 * (channels // HARD_OF), 1))[0]
        return {
            "spatial": (jnp.sum(spatial), count),
            "temporal": (jnp.sum(temporal), count),
            "mutual": (jnp.sum(mutual), count),
            "hard": (jnp.mean(hard), count),
        }

    def term_weights(self) -> dict[str, float]:
        """As the config gives them."""
        return dict(self.weights)


@dataclasses.dataclass(frozen=True)
class DeciWatchObjective:
    """Recovered poses of all frames, and denoised ones of the seen frames.

    Attributes:
      weights: of the terms; the published ones.
    """

    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"recovered": 5.0, "denoised": 1.0})

    TERMS: ClassVar[tuple[str, ...]] = ("recovered", "denoised")

    def __call__(self, output: SequenceOutput, batch: SequenceBatch) -> Terms:
        """ "recovered" and "denoised", each (sum, count) of absolute differences."""
        weight = _weight(batch)
        seen = weight * output.seen[:, None]
        return {
            "recovered": (jnp.sum(_by_coordinate(output.poses - batch.target, weight)), jnp.sum(weight)),
            "denoised": (jnp.sum(_by_coordinate(output.encoder_poses - batch.target, seen)), jnp.sum(seen)),
        }

    def term_weights(self) -> dict[str, float]:
        """As the config gives them."""
        return dict(self.weights)


@dataclasses.dataclass(frozen=True)
class SmoothNetObjective:
    """Positions and accelerations.

    Attributes:
      weights: of the terms; the published ones.
    """

    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"position": 1.0, "acceleration": 0.1})

    TERMS: ClassVar[tuple[str, ...]] = ("position", "acceleration")

    def __call__(self, output: SequenceOutput, batch: SequenceBatch) -> Terms:
        """ "position" and "acceleration" (second differences in time), each (sum, count) of absolute differences."""
        weight = _weight(batch)
        wrong = output.poses - batch.target
        bent = wrong[:, :-2] - 2 * wrong[:, 1:-1] + wrong[:, 2:]
        all_three = weight[:, :-2] * weight[:, 1:-1] * weight[:, 2:]
        return {
            "position": (jnp.sum(_by_coordinate(wrong, weight)), jnp.sum(weight)),
            "acceleration": (jnp.sum(_by_coordinate(bent, all_three)), jnp.sum(all_three)),
        }

    def term_weights(self) -> dict[str, float]:
        """As the config gives them."""
        return dict(self.weights)


def _weight(batch: SequenceBatch) -> jax.Array:
    """float32 [B, T, C]: 1 at coordinates that count."""
    labelled = batch.labelled if batch.labelled.ndim == 3 else batch.labelled[..., None]
    return jnp.broadcast_to(labelled * batch.valid[:, None, None], batch.target.shape)


def _by_coordinate(difference: jax.Array, weight: jax.Array) -> jax.Array:
    """Σ |difference| over sequences and frames: [B, T, C] to [C]; where the weight is 0, nothing is read."""
    return jnp.sum(jnp.where(weight > 0, jnp.abs(difference) * weight, 0.0), (0, 1))

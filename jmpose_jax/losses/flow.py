"""The sequence loss of RAFT, and the endpoint error, over the pixels whose flow is known."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmpose_jax.errors import InputError
from jmpose_jax.losses.objective import Terms
from jmpose_jax.records import ClipBatch, FlowOutput


@dataclasses.dataclass(frozen=True)
class FlowObjective:
    """The sequence loss of a flow network that runs on clips.

    Attributes:
      gamma: weight of an iteration over that of the next.
      weights: of the terms; the endpoint error is watched with weight 0.
    """

    gamma: float = 0.8
    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"sequence": 1.0, "endpoint_error": 0.0})

    TERMS: ClassVar[tuple[str, ...]] = ("sequence", "endpoint_error")

    def __call__(self, output: FlowOutput, batch: ClipBatch) -> Terms:
        """The loss terms.

        Args:
          output: of the network, every iteration's flow.
          batch: the clips it was computed from; `flow` is the exact flow at any stride.

        Returns:
          "sequence", the loss, and "endpoint_error" of the last iteration, in pixels. Each is (sum, count).

        Raises:
          InputError: the batch carries no flow.
        """
        if batch.flow is None:
            raise InputError("the batch has no flow to learn from: set flow_source to exact")
        stride = output.flow.shape[-3] // batch.flow.shape[-3]
        flow = average_cells(output.flow, stride)
        known = known_flow(output.first, output.second, stride) * batch.valid[:, None, None, None]
        return {
            "sequence": sequence_loss(flow, batch.flow, known, self.gamma),
            "endpoint_error": (jnp.sum(endpoint_error(flow[-1], batch.flow) * known), jnp.sum(known)),
        }

    def term_weights(self) -> dict[str, float]:
        """As the config gives them."""
        return dict(self.weights)


def sequence_loss(
    flow: jax.Array, target: jax.Array, known: jax.Array, gamma: float = 0.8
) -> tuple[jax.Array, jax.Array]:
    """Σ_i γ^(N-i) ‖flow_i − target‖₁ over the iterations i = 1 … N (Teed and Deng, Eq. 7).

    As in the published code both components count as entries of the mean. That code's mean runs over all pixels, ours
    over those whose flow is known.

    Args:
      flow: float32 [N, B, P, h, w, 2], after every iteration.
      target: float32 [B, P, h, w, 2].
      known: float32 [B, P, h, w], weight of a pixel.
      gamma: γ.

    Returns:
      (sum, count): float32 scalars; the loss is sum / count.
    """
    iterations = flow.shape[0]
    weights = gamma ** jnp.arange(iterations - 1, -1, -1, dtype=jnp.float32)
    distance = jnp.sum(jnp.abs(flow - target), -1)
    per_iteration = jnp.sum(distance * known, tuple(range(1, distance.ndim)))
    return jnp.sum(weights * per_iteration), 2.0 * jnp.sum(known)


def endpoint_error(flow: jax.Array, target: jax.Array) -> jax.Array:
    """Distance in pixels between two flows [..., 2]: [...]."""
    return jnp.linalg.norm(flow - target, axis=-1)


def known_flow(first: jax.Array, second: jax.Array, stride: int = 1) -> jax.Array:
    """Which cells of a pair have a flow: those that the image covers, in pairs of two frames.

    Where a crop reaches beyond its image it is black, and at a video's ends a frame stands in for its missing
    neighbour: neither says anything about motion, and both are easily matched.

    Args:
      first: uint8 [B, P, H, W, 3], the frames that the flow starts from.
      second: the frames it goes to.
      stride: pixels a cell.

    Returns:
      float32 [B, P, H / stride, W / stride], 1 or 0.
    """
    covered = jnp.any(first > 0, -1)
    if stride > 1:
        *lead, height, width = covered.shape
        covered = covered.reshape(*lead, height // stride, stride, width // stride, stride).all((-3, -1))
    moving = jnp.any(first != second, (-3, -2, -1))
    return (covered & moving[..., None, None]).astype(jnp.float32)


def average_cells(flow: jax.Array, stride: int) -> jax.Array:
    """The mean vector of stride × stride cells: [..., H, W, 2] to [..., H / stride, W / stride, 2]."""
    *lead, height, width, _ = flow.shape
    return flow.reshape(*lead, height // stride, stride, width // stride, stride, 2).mean((-4, -2))

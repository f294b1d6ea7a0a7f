"""One step of training: a pure function from state, batch and loss weights to state and metrics."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.train.state import TrainState

LossTerms = Mapping[str, tuple[jax.Array, jax.Array]]
LossFunction = Callable[[PoseOutput, ClipBatch], LossTerms]
TrainStep = Callable[[TrainState, ClipBatch, Mapping[str, jax.Array]], tuple[TrainState, dict[str, jax.Array]]]


def weighted_total(terms: LossTerms, weights: Mapping[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L = Σ_name weight_name · sum_name / count_name (Eq. 16 with every term's weight spelt out).

    Args:
      terms: name -> (sum, count), scalars.
      weights: name -> scalar array. Arrays, not constants: one compiled step serves every cell of a grid.

    Returns:
      The total and the mean of each term, unweighted.

    Raises:
      KeyError: a term has no weight.
    """
    means = {name: total / jnp.maximum(count, 1.0) for name, (total, count) in terms.items()}
    return sum(weights[name] * mean for name, mean in means.items()), means


def make_train_step(model: nn.Module, optimizer: optax.GradientTransformation, loss: LossFunction) -> TrainStep:
    """The training step of any model; jit it with the state donated.

    Args:
      model: `model.apply(variables, batch, train=True, mutable=["batch_stats"])` returns a PoseOutput.
      optimizer: transformation of the gradients.
      loss: terms by name, each as (sum, count).

    Returns:
      `step(state, batch, weights) -> (state, metrics)`, metrics being `loss/<name>`, `loss/total`, `gradient_norm`.
    """

    def train_step(
        state: TrainState, batch: ClipBatch, weights: Mapping[str, jax.Array]
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        def objective(params: Any) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            output, updated = model.apply(variables, batch, train=True, mutable=["batch_stats"])
            total, means = weighted_total(loss(output, batch), weights)
            return total, (means, updated.get("batch_stats", state.batch_stats))

        (total, (means, batch_stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        metrics = {f"loss/{name}": mean for name, mean in means.items()}
        metrics |= {"loss/total": total, "gradient_norm": optax.global_norm(gradients)}
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, metrics

    return train_step

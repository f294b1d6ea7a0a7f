"""One step of training: a pure function from state, batch and loss weights to state and metrics."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jmpose_jax.models.remat import rematerialising
from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.train import sharding
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


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    loss: LossFunction,
    *,
    accumulate: int = 1,
    ema_decay: float = 0.0,
    remat: bool = False,
    skip_non_finite: bool = False,
) -> TrainStep:
    """The training step of any model; jit it with the state donated.

    Args:
      model: `model.apply(variables, batch, train=True, mutable=["batch_stats"])` returns a PoseOutput.
      optimizer: transformation of the gradients.
      loss: terms by name, each as (sum, count).
      accumulate: the batch is gone through in so many parts, whose gradients and metrics are averaged; batch norms see
        one part at a time, and a part's terms are divided by that part's counts.
      ema_decay: d of ema <- d * ema + (1 - d) * params after each step; 0 keeps no average.
      remat: the backward pass computes the model's blocks again, one at a time, instead of keeping their results.
      skip_non_finite: a step whose loss or gradient is not finite counts but changes nothing else.

    Returns:
      `step(state, batch, weights) -> (state, metrics)`, metrics being `loss/<name>`, `loss/total`, `gradient_norm`.
    """

    def train_step(
        state: TrainState, batch: ClipBatch, weights: Mapping[str, jax.Array]
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        def objective(
            params: Any, batch_stats: Any, part: ClipBatch
        ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
            variables = {"params": params, "batch_stats": batch_stats}
            with rematerialising(remat):
                output, updated = model.apply(variables, part, train=True, mutable=["batch_stats"])
            total, means = weighted_total(loss(output, part), weights)
            return total, (means, updated.get("batch_stats", batch_stats))

        differentiated = jax.value_and_grad(objective, has_aux=True)
        if accumulate == 1:
            (total, (means, batch_stats)), gradients = differentiated(state.params, state.batch_stats, batch)
        else:

            def add(carry: Any, part: ClipBatch) -> tuple[Any, None]:
                batch_stats, sums = carry
                (total, (means, batch_stats)), gradients = differentiated(state.params, batch_stats, part)
                return (batch_stats, jax.tree.map(jnp.add, sums, (total, means, gradients))), None

            parts = jax.tree.map(lambda x: _in_parts(x, accumulate), batch)
            first = jax.tree.map(lambda x: x[0], parts)
            (total, (means, batch_stats)), gradients = differentiated(state.params, state.batch_stats, first)
            rest = jax.tree.map(lambda x: x[1:], parts)
            (batch_stats, sums), _ = jax.lax.scan(add, (batch_stats, (total, means, gradients)), rest)
            total, means, gradients = jax.tree.map(lambda x: x / accumulate, sums)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        metrics = {f"loss/{name}": mean for name, mean in means.items()}
        metrics |= {"loss/total": total, "gradient_norm": optax.global_norm(gradients)}
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema_decay:
            ema = jax.tree.map(lambda old, new: ema_decay * old + (1 - ema_decay) * new, ema, params)
        after = state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state, ema=ema)
        if skip_non_finite:
            finite = jnp.isfinite(total) & jnp.isfinite(metrics["gradient_norm"])
            after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)
        return after.replace(step=state.step + 1), metrics

    return train_step


def jit_step(step: TrainStep, shardings: TrainState, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    """The step as it is compiled, for training and for `jmpose train --compile_only` alike: the state is donated.

    Args:
      step: from `make_train_step`.
      shardings: of the state, from `sharding.state_sharding`.
      mesh: the metrics get a copy on each of its devices.
    """
    return jax.jit(step, donate_argnums=0, out_shardings=(shardings, sharding.replicated(mesh)))


def _in_parts(x: jax.Array, count: int) -> jax.Array:
    """[B, …] -> [count, B/count, …], every count-th example in one part: devices keep the examples they hold."""
    return jnp.moveaxis(x.reshape(x.shape[0] // count, count, *x.shape[1:]), 1, 0)

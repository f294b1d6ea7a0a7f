"""One step of training: a pure function from state, batch and loss weights to state and metrics.

The step itself is plain. What a training may want besides (a batch in parts, rematerialisation, a moving average,
updates that are not finite left out) wraps it, each in a function of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jmpose_jax.losses.objective import Terms
from jmpose_jax.models.remat import rematerialising
from jmpose_jax.records import Batch
from jmpose_jax.train import sharding
from jmpose_jax.train.state import TrainState

Weights = Mapping[str, jax.Array]
LossFunction = Callable[[Any, Any], Terms]
TrainStep = Callable[[TrainState, Batch, Weights], tuple[TrainState, dict[str, jax.Array]]]

# The collections that modules draw from while they train: `self.make_rng("dropout")`, `self.make_rng("masking")`.
RANDOM_STREAMS = ("dropout", "masking")


class Gradients(NamedTuple):
    """What a batch says of the parameters.

    Attributes:
      total: the weighted loss, scalar.
      means: the mean of every term, unweighted.
      params: gradients of the parameters.
      batch_stats: running statistics after the batch.
    """

    total: jax.Array
    means: dict[str, jax.Array]
    params: Any
    batch_stats: Any


GradientFunction = Callable[[Any, Any, Batch, Weights, jax.Array], Gradients]


def weighted_total(terms: Terms, weights: Weights) -> tuple[jax.Array, dict[str, jax.Array]]:
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
    seed: int = 0,
    accumulate: int = 1,
    ema_decay: float = 0.0,
    remat: bool = False,
    skip_non_finite: bool = False,
) -> TrainStep:
    """The training step of any model; jit it with the state donated.

    Args:
      model: `model.apply(variables, batch, train=True, mutable=["batch_stats"], rngs=…)` returns what `loss` reads.
      optimizer: transformation of the gradients.
      loss: terms by name, each as (sum, count).
      seed: of what the model draws (dropout, masking): step n draws from `fold_in(key(seed), n)`, whatever was
        restarted before it.
      accumulate: see `in_parts`; 1 takes the batch whole.
      ema_decay: see `averaging`; 0 keeps no average.
      remat: the backward pass computes the model's blocks again, one at a time, instead of keeping their results.
      skip_non_finite: see `skipping_non_finite`.

    Returns:
      `step(state, batch, weights) -> (state, metrics)`, metrics being `loss/<name>`, `loss/total`, `gradient_norm`.
    """
    gradients = gradient_function(model, loss, remat)
    if accumulate > 1:
        gradients = in_parts(gradients, accumulate)
    step = plain_step(gradients, optimizer, seed)
    if ema_decay:
        step = averaging(step, ema_decay)
    return skipping_non_finite(step) if skip_non_finite else step


def gradient_function(model: nn.Module, loss: LossFunction, remat: bool = False) -> GradientFunction:
    """Loss and gradients of one batch, as a function of parameters, statistics, batch, weights and a key."""

    def objective(params: Any, batch_stats: Any, batch: Batch, weights: Weights, key: jax.Array):
        variables = {"params": params, "batch_stats": batch_stats}
        keys = dict(zip(RANDOM_STREAMS, jax.random.split(key, len(RANDOM_STREAMS))))
        with rematerialising(remat):
            output, updated = model.apply(variables, batch, train=True, mutable=["batch_stats"], rngs=keys)
        total, means = weighted_total(loss(output, batch), weights)
        return total, (means, updated.get("batch_stats", batch_stats))

    differentiated = jax.value_and_grad(objective, has_aux=True)

    def gradients(params: Any, batch_stats: Any, batch: Batch, weights: Weights, key: jax.Array) -> Gradients:
        (total, (means, batch_stats)), found = differentiated(params, batch_stats, batch, weights, key)
        return Gradients(total, means, found, batch_stats)

    return gradients


def in_parts(gradients: GradientFunction, count: int) -> GradientFunction:
    """The batch gone through in `count` parts, whose gradients and metrics are averaged.

    Batch norms see one part at a time, and a part's terms are divided by that part's counts.
    """

    def accumulated(params: Any, batch_stats: Any, batch: Batch, weights: Weights, key: jax.Array) -> Gradients:
        keys = jax.random.split(key, count)
        parts = jax.tree.map(lambda x: _in_parts(x, count), batch)

        def add(carry: Gradients, part: tuple[Batch, jax.Array]) -> tuple[Gradients, None]:
            found = gradients(params, carry.batch_stats, part[0], weights, part[1])
            sums = jax.tree.map(jnp.add, carry[:3], found[:3])
            return Gradients(*sums, found.batch_stats), None

        first = gradients(params, batch_stats, jax.tree.map(lambda x: x[0], parts), weights, keys[0])
        rest = jax.tree.map(lambda x: x[1:], (parts, keys))
        sums, _ = jax.lax.scan(add, first, rest)
        return Gradients(*jax.tree.map(lambda x: x / count, sums[:3]), sums.batch_stats)

    return accumulated


def plain_step(gradients: GradientFunction, optimizer: optax.GradientTransformation, seed: int = 0) -> TrainStep:
    """Gradients, and the optimiser's update of them."""

    def step(state: TrainState, batch: Batch, weights: Weights) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        found = gradients(state.params, state.batch_stats, batch, weights, key)
        updates, opt_state = optimizer.update(found.params, state.opt_state, state.params)
        metrics = {f"loss/{name}": mean for name, mean in found.means.items()}
        metrics |= {"loss/total": found.total, "gradient_norm": optax.global_norm(found.params)}
        params = optax.apply_updates(state.params, updates)
        after = state.replace(params=params, batch_stats=found.batch_stats, opt_state=opt_state, step=state.step + 1)
        return after, metrics

    return step


def averaging(step: TrainStep, decay: float) -> TrainStep:
    """The step, and ema <- d * ema + (1 - d) * params after it."""

    def averaged(state: TrainState, batch: Batch, weights: Weights) -> tuple[TrainState, dict[str, jax.Array]]:
        after, metrics = step(state, batch, weights)
        ema = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.ema, after.params)
        return after.replace(ema=ema), metrics

    return averaged


def skipping_non_finite(step: TrainStep) -> TrainStep:
    """The step; one whose loss or gradient is not finite counts but changes nothing else."""

    def skipping(state: TrainState, batch: Batch, weights: Weights) -> tuple[TrainState, dict[str, jax.Array]]:
        after, metrics = step(state, batch, weights)
        finite = jnp.isfinite(metrics["loss/total"]) & jnp.isfinite(metrics["gradient_norm"])
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)
        return kept.replace(step=after.step), metrics

    return skipping


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

"""Optimisers and learning-rate schedules by name, as the papers state them."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jmpose_jax.errors import InputError

OPTIMIZERS = ("adamw", "adam")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate by step.

    Attributes:
      kind: "step" multiplies by `decay_factor` at each of `boundaries` (JM-Pose's 1e-4 -> 1e-5/1e-6/1e-7 at epochs
        5/10/15, section 4.1); "cosine" falls to `end_rate` over the whole run; "stable" stays constant and falls
        linearly to `end_rate` over the last `decay_steps`, so that runs of different length share their beginning.
      learning_rate: the highest rate.
      warmup_steps: steps of linear warm-up, counted in the length of the run.
      warmup_start: rate before the first step; the warm-up rises from it.
      boundaries: steps, for "step".
      decay_factor: for "step".
      decay_steps: for "stable".
      end_rate: the lowest rate, of "cosine" and "stable".
    """

    kind: str
    learning_rate: float
    warmup_steps: int = 0
    warmup_start: float = 0.0
    boundaries: Sequence[int] = ()
    decay_factor: float = 0.1
    decay_steps: int = 0
    end_rate: float = 0.0

    def create(self, total_steps: int) -> optax.Schedule:
        """The schedule for optax.

        Args:
          total_steps: length of the run.

        Raises:
          InputError: an unknown kind, or a rate at an end that is above the highest.
        """
        for name in ("warmup_start", "end_rate"):
            if not 0 <= (rate := getattr(self, name)) <= self.learning_rate:
                raise InputError(f"{name}={rate} must lie between 0 and learning_rate={self.learning_rate}")
        warmup, rate = self.warmup_steps, self.learning_rate
        if self.kind == "step":
            boundaries = {int(b) - warmup: self.decay_factor for b in self.boundaries}
            body = optax.piecewise_constant_schedule(rate, boundaries)
        elif self.kind == "cosine":
            # The boundary of join_schedules shifts the step, so that the cosine spans what the warm-up leaves.
            floor = self.end_rate / rate if rate else 0.0
            body = optax.cosine_decay_schedule(rate, max(total_steps - warmup, 1), floor)
        elif self.kind == "stable":
            begin = max(total_steps - warmup - self.decay_steps, 0)
            body = optax.linear_schedule(rate, self.end_rate, max(self.decay_steps, 1), transition_begin=begin)
        else:
            raise InputError(f"schedule={self.kind!r} is unknown; use step, cosine or stable")
        if not warmup:
            return body
        start = self.warmup_start + (rate - self.warmup_start) / (warmup + 1)
        return optax.join_schedules([optax.linear_schedule(start, rate, warmup), body], [warmup])


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimiser that leaves frozen parameters alone and keeps no moments for them.

    Attributes:
      name: "adamw" or "adam".
      weight_decay: decoupled decay of AdamW (PyTorch's default is 0.01, optax's 1e-4: always stated in our configs).
      amsgrad: divide by the largest second moment so far, as PyTorch's option of that name does.
      frozen: regular expressions; a parameter whose path (`backbone/conv1/kernel`) begins with a match is frozen.
      clip_norm: largest global norm of the gradient; 0 does not clip (the lineage clips nothing).
    """

    name: str
    weight_decay: float = 0.0
    amsgrad: bool = False
    frozen: Sequence[str] = ()
    clip_norm: float = 0.0

    def create(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        """The transformation for a whole parameter tree.

        Args:
          schedule: learning rate by step.

        Raises:
          InputError: an unknown name.
        """
        if self.name not in OPTIMIZERS:
            raise InputError(f"name={self.name!r} is unknown; use adamw or adam")
        rule = self._rule(schedule)
        if self.clip_norm:
            rule = optax.chain(optax.clip_by_global_norm(self.clip_norm), rule)
        if not self.frozen:
            return rule
        patterns = [re.compile(p) for p in self.frozen]

        def label(params: Any) -> Any:
            def of(path: tuple[Any, ...], _: jax.Array) -> str:
                name = "/".join(str(getattr(k, "key", k)) for k in path)
                return "frozen" if any(p.match(name) for p in patterns) else "trained"

            return jax.tree_util.tree_map_with_path(of, params)

        return optax.multi_transform({"trained": rule, "frozen": optax.set_to_zero()}, label)

    def _rule(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        decayed = self.name == "adamw"
        if not self.amsgrad:
            return optax.adamw(schedule, weight_decay=self.weight_decay) if decayed else optax.adam(schedule)
        decay = [optax.add_decayed_weights(self.weight_decay)] if decayed else []
        return optax.chain(scale_by_amsgrad(), *decay, optax.scale_by_learning_rate(schedule))


def scale_by_amsgrad(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """AMSGrad as PyTorch computes it: the largest raw second moment so far, corrected for its bias afterwards.

    `optax.scale_by_amsgrad` takes the largest of the corrected moments. The first of these is the whole square of the
    first gradient: a gradient that is large at the start shortens all later steps there, and fades here.

    Args:
      b1, b2: decay of the moments.
      eps: added to the root of the second.

    Returns:
      The transformation; its state is optax's.
    """
    like = optax.scale_by_amsgrad(b1, b2, eps)

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        count = optax.safe_increment(state.count)
        mu = optax.tree.update_moment(gradients, state.mu, b1, 1)
        nu = optax.tree.update_moment_per_elem_norm(gradients, state.nu, b2, 2)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu)
        means, roots = optax.tree.bias_correction(mu, b1, count), optax.tree.bias_correction(nu_max, b2, count)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), means, roots)
        return updates, state._replace(count=count, mu=mu, nu=nu, nu_max=nu_max)

    return optax.GradientTransformation(like.init, update)

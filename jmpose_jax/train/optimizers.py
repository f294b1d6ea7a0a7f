"""Optimisers and learning-rate schedules by name, as the papers state them."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import optax

from jmpose_jax.errors import InputError


def learning_rate_schedule(
    kind: str,
    learning_rate: float,
    total_steps: int,
    *,
    warmup_steps: int = 0,
    boundaries: Sequence[int] = (),
    decay_factor: float = 0.1,
    decay_steps: int = 0,
) -> optax.Schedule:
    """The learning rate as a function of the step.

    Args:
      kind: "step" multiplies by `decay_factor` at each of `boundaries` (the paper's 1e-4 -> 1e-5/1e-6/1e-7 at epochs
        5/10/15, section 4.1); "cosine" falls to zero over the whole run; "stable" stays constant and falls linearly to
        zero over the last `decay_steps`, so that runs of different length share their beginning.
      learning_rate: the highest rate.
      total_steps: length of the run.
      warmup_steps: steps of linear warm-up from zero, counted in `total_steps`.
      boundaries, decay_factor: see "step".
      decay_steps: see "stable".

    Returns:
      A schedule for optax.

    Raises:
      InputError: an unknown kind.
    """
    if kind == "step":
        body = optax.piecewise_constant_schedule(learning_rate, {int(b): decay_factor for b in boundaries})
    elif kind == "cosine":
        # The boundary of join_schedules shifts the step, so that the cosine spans what the warm-up leaves.
        body = optax.cosine_decay_schedule(learning_rate, max(total_steps - warmup_steps, 1))
    elif kind == "stable":
        begin = max(total_steps - warmup_steps - decay_steps, 0)
        body = optax.linear_schedule(learning_rate, 0.0, max(decay_steps, 1), transition_begin=begin)
    else:
        raise InputError(f"config.optimizer.schedule={kind!r} is unknown; use step, cosine or stable")
    if not warmup_steps:
        return body
    if kind == "step":
        shifted = {int(b) - warmup_steps: decay_factor for b in boundaries}
        body = optax.piecewise_constant_schedule(learning_rate, shifted)
    warmup = optax.linear_schedule(learning_rate / (warmup_steps + 1), learning_rate, warmup_steps)
    return optax.join_schedules([warmup, body], [warmup_steps])


def create_optimizer(
    name: str,
    schedule: optax.Schedule,
    *,
    weight_decay: float = 0.0,
    frozen: Sequence[str] = (),
    clip_norm: float = 0.0,
) -> optax.GradientTransformation:
    """An optimiser that leaves frozen parameters alone and keeps no moments for them.

    Args:
      name: "adamw" or "adam".
      schedule: learning rate by step.
      weight_decay: decoupled decay of AdamW (PyTorch's default is 0.01, optax's 1e-4: always stated in our configs).
      frozen: regular expressions; a parameter whose path (`backbone/conv1/kernel`) begins with a match is frozen.
      clip_norm: largest global norm of the gradient; 0 does not clip (the lineage clips nothing).

    Returns:
      The transformation for a whole parameter tree.
    """
    if name == "adamw":
        rule = optax.adamw(schedule, weight_decay=weight_decay)
    elif name == "adam":
        rule = optax.adam(schedule)
    else:
        raise InputError(f"config.optimizer.name={name!r} is unknown; use adamw or adam")
    if clip_norm:
        rule = optax.chain(optax.clip_by_global_norm(clip_norm), rule)
    if not frozen:
        return rule
    patterns = [re.compile(p) for p in frozen]

    def label(params: Any) -> Any:
        def of(path: tuple[Any, ...], _: jax.Array) -> str:
            name = "/".join(str(getattr(k, "key", k)) for k in path)
            return "frozen" if any(p.match(name) for p in patterns) else "trained"

        return jax.tree_util.tree_map_with_path(of, params)

    return optax.multi_transform({"trained": rule, "frozen": optax.set_to_zero()}, label)

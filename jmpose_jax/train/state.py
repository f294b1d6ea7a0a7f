"""What training carries from step to step."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from jmpose_jax.records import ClipBatch


@flax.struct.dataclass
class TrainState:
    """Everything that a step reads and writes, a pytree.

    Attributes:
      step: int32 scalar, steps done.
      params: parameters of the model.
      batch_stats: running statistics of its batch norms (empty where it has none).
      opt_state: state of the optimiser.
      ema: exponential moving average of the parameters; empty where none is kept.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    ema: Any = flax.struct.field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        """The variables that `model.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(
    model: nn.Module, optimizer: optax.GradientTransformation, key: jax.Array, batch: ClipBatch
) -> TrainState:
    """A fresh state, initialised under jit so that no throw-away forward pass runs op by op.

    Args:
      model: module with `model.init(key, batch)`.
      optimizer: transformation of the parameters' gradients.
      key: PRNG key of the initialisation.
      batch: any batch of the training's shapes; its values do not matter.

    Returns:
      The state at step 0.
    """

    def init(key: jax.Array, batch: ClipBatch) -> TrainState:
        variables = model.init(key, batch)
        params = variables["params"]
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            batch_stats=variables.get("batch_stats", {}),
            opt_state=optimizer.init(params),
        )

    return jax.jit(init)(key, batch)


def replace_subtree(state: TrainState, variables: dict[str, Any], name: str) -> TrainState:
    """The state with the variables of one submodule replaced, e.g. the backbone trained in stage 1.

    Args:
      state: state of the whole model.
      variables: {"params": …, "batch_stats": …} of the submodule alone.
      name: the submodule's name at the top of the parameter tree.

    Returns:
      The new state; the optimiser's state is kept.

    Raises:
      ValueError: the submodule's structure or shapes differ; the message names the first difference.
    """
    replaced = {}
    for collection in ("params", "batch_stats"):
        old = getattr(state, collection)
        new = variables.get(collection, {})
        check_same_structure(old.get(name, {}), new, f"{collection}/{name}")
        replaced[collection] = {**old, name: jax.tree.map(jnp.asarray, new)} if new else old
    return state.replace(**replaced)


def check_same_structure(expected: Any, found: Any, where: str) -> None:
    """Compare two trees of arrays by paths and shapes.

    Raises:
      ValueError: names the first paths that are missing, unexpected or of another shape.
    """
    shapes = [
        {jax.tree_util.keystr(p, simple=True, separator="/"): jnp.shape(x) for p, x in flat}
        for flat in (jax.tree_util.tree_leaves_with_path(expected), jax.tree_util.tree_leaves_with_path(found))
    ]
    missing = sorted(shapes[0].keys() - shapes[1].keys())
    unexpected = sorted(shapes[1].keys() - shapes[0].keys())
    misshapen = sorted(k for k in shapes[0].keys() & shapes[1].keys() if shapes[0][k] != shapes[1][k])
    faults = [
        f"{len(paths)} {kind} (e.g. {paths[0]})"
        for kind, paths in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if paths
    ]
    if faults:
        raise ValueError(f"{where}: {', '.join(faults)}")

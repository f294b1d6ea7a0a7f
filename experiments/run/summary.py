"""The summary of a config's model that `jmpose train --summary` prints: nothing is read, trained or written."""

from ml_collections import ConfigDict

from experiments.configuration.limits import check_sizes
from experiments.systems import built
from jmpose_jax.inspection.summary import summarize, table


def summary(config: ConfigDict, depth: int | None = 2) -> str:
    """Modules, output shapes, parameters and operations of the model that a config's training builds, on one clip.

    Args:
      config: from a file in `configs/`.
      depth: how far down modules are listed; None lists all.

    Returns:
      The table as text.

    Raises:
      InputError: the config does not describe a model, or one that cannot read the config's clips.
    """
    check_sizes(config)
    system = built(config)
    rows = summarize(system.model, system.data.spec(config))
    return f"{config.model.name} on {system.data.about(config)}\n{table(rows, depth)}"

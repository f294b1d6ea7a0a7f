"""Parts of a fresh model that training leaves as they are, though nothing has given them trained values."""

import re
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict


def untrained(params: Mapping[str, Any], config: ConfigDict) -> list[str]:
    """A line on each part of a fresh model that is frozen on random values, since no checkpoint gives it any.

    Args:
      params: of the model.
      config: of the training.
    """
    lines = []
    for part, below in params.items():
        leaves = jax.tree_util.tree_leaves_with_path({part: below})
        paths = ["/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves]
        frozen = [pattern for pattern in config.optimizer.frozen if any(re.match(pattern, path) for path in paths)]
        if frozen and not config.init.get(part):
            key = f"config.init.{part}"
            how = f"--{key}=WORKDIR" if part in config.init else f"{key} in the config's file"
            lines.append(
                f"{part} has random values and stays so: config.optimizer.frozen holds {frozen[0]!r}, and {key} names "
                f"no checkpoint; name one by {how}"
            )
    return lines

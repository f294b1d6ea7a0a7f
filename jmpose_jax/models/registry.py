"""Models by the name that a config gives them."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmpose_jax.errors import InputError


def _classes() -> dict[str, type[nn.Module]]:
    from jmpose_jax.models.clip_flow import ClipFlow
    from jmpose_jax.models.image_baseline import ImageBaseline
    from jmpose_jax.models.jmpose import JMPose

    return {"image": ImageBaseline, "jmpose": JMPose, "raft": ClipFlow}


def create_model(config: Mapping[str, Any]) -> nn.Module:
    """The module that a config describes.

    Args:
      config: `name` ("image": a backbone on single frames; "jmpose"; "raft": optical flow alone) and the
        module's attributes by their names.

    Returns:
      A module with `apply(variables, batch: ClipBatch, train=False) -> PoseOutput`; of "raft", FlowOutput.

    Raises:
      InputError: an unknown name or attribute, with the nearest known one.
    """
    classes = _classes()
    name = config["name"]
    if name not in classes:
        raise InputError(f"config.model.name={name!r} is unknown; use one of {', '.join(classes)}")
    known = [f.name for f in dataclasses.fields(classes[name]) if f.name not in ("name", "parent")]
    attributes = {k: _plain(v) for k, v in config.items() if k != "name"}
    for key in attributes:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}"
            raise InputError(f"config.model.{key} is no option of model {name!r}{hint}")
    return classes[name](**attributes)


def _plain(value: Any) -> Any:
    """Config values as hashable module attributes: mappings stay mappings of plain values, lists become tuples."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value

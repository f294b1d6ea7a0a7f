"""Models by the name that a config gives them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmpose_jax.errors import InputError
from jmpose_jax.nearest import nearest_key

CLASSES = ("image", "jmpose", "raft")


def model_class(name: str) -> type[nn.Module]:
    """The module class of a name in CLASSES."""
    from jmpose_jax.models.clip_flow import ClipFlow
    from jmpose_jax.models.image_baseline import ImageBaseline
    from jmpose_jax.models.jmpose import JMPose

    return dict(zip(CLASSES, (ImageBaseline, JMPose, ClipFlow)))[name]


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
    name = config["name"]
    if name not in CLASSES:
        raise InputError(f"config.model.name={name!r} is unknown; use one of {', '.join(CLASSES)}")
    made_of = model_class(name)
    known = [f.name for f in dataclasses.fields(made_of) if f.name not in ("name", "parent")]
    attributes = {k: _plain(v) for k, v in config.items() if k != "name"}
    for key in attributes:
        if key not in known:
            near = nearest_key(key, [*known, *(name for name in _nested(attributes) if name != key)])
            hint = f"; did you mean {near!r}?" if near else f"; it has {', '.join(known)}"
            raise InputError(f"config.model.{key} is no option of model {name!r}{hint}")
    return made_of(**attributes)


def _nested(attributes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The flat keys of what is said of a model's parts, e.g. "backbone.width"."""
    return [
        key
        for name, value in attributes.items()
        for key in (_nested(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [f"{prefix}{name}"])
        if "." in key
    ]


def _plain(value: Any) -> Any:
    """Config values as hashable module attributes: mappings stay mappings of plain values, lists become tuples."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value

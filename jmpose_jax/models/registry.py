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
    attributes = {k: _plain(v) for k, v in config.items() if k != "name"}
    made_of = model_class(name)
    parts = {part: attributes[part] for part in part_classes(config) if isinstance(attributes.get(part), Mapping)}
    known = [*_options(made_of), *(f"{part}.{key}" for part in parts for key in _options(part_classes(config)[part]))]
    given = [*attributes, *(f"{part}.{key}" for part, options in parts.items() for key in options)]
    for key in given:
        if key not in known:
            near = nearest_key(key, known)
            hint = f"; did you mean {near!r}?" if near else f"; it has {', '.join(known)}"
            raise InputError(f"config.model.{key} is no option of model {name!r}{hint}")
    return made_of(**attributes)


def part_classes(config: Mapping[str, Any]) -> dict[str, type[nn.Module]]:
    """The classes of the parts that a model's config has options for; an unknown network is the model's own fault."""
    from jmpose_jax.models.hrnet import HRNet
    from jmpose_jax.models.image_baseline import NETWORKS
    from jmpose_jax.models.raft import RAFT

    if config["name"] == "image":
        network = NETWORKS.get(config.get("network", "hrnet"))
        return {} if network is None else {"backbone": network}
    return {"backbone": HRNet, "flow_network": RAFT} if config["name"] == "jmpose" else {}


def _options(made_of: type[nn.Module]) -> list[str]:
    return [field.name for field in dataclasses.fields(made_of) if field.name not in ("name", "parent")]


def _plain(value: Any) -> Any:
    """Config values as hashable module attributes: mappings stay mappings of plain values, lists become tuples."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value

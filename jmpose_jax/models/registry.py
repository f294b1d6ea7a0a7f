"""Models by the name that a config gives them."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmpose_jax.errors import InputError
from jmpose_jax.models.parts import option_names, parts_of
from jmpose_jax.nearest import nearest_key
from jmpose_jax.systems import system


def create_model(config: Mapping[str, Any]) -> nn.Module:
    """The module that a config describes.

    Args:
      config: `name`, of a system, and the module's attributes by their names.

    Returns:
      A module with `apply(variables, batch, train=False)`.

    Raises:
      InputError: an unknown name, attribute or kind of a part, with the nearest known one.
    """
    name = config["name"]
    made_of = system(name).module
    attributes = {k: _plain(v) for k, v in config.items() if k != "name"}
    parts = {part: made for part, made in parts_of(made_of).items() if isinstance(attributes.get(part), Mapping)}
    known = [*option_names(made_of), *(f"{part}.{key}" for part, made in parts.items() for key in made.options())]
    given = [*attributes, *(f"{part}.{key}" for part in parts for key in attributes[part])]
    for key in given:
        if key not in known:
            near = nearest_key(key, known)
            hint = f"; did you mean {near!r}?" if near else f"; it has {', '.join(known)}"
            raise InputError(f"model.{key} is no option of model {name!r}{hint}")
    for part, made in parts.items():
        try:
            made.made_of(attributes[part])
        except InputError as fault:
            raise InputError(f"model.{part}.{fault}") from None
    return made_of(**attributes)


def _plain(value: Any) -> Any:
    """Config values as hashable module attributes: mappings stay mappings of plain values, lists become tuples."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value

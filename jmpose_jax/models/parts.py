"""Parts of a model: what a mapping of options, as it stands in a config, makes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jmpose_jax.errors import InputError
from jmpose_jax.nearest import nearest_key

KIND = "kind"  # the option that chooses among the modules that can fill a place


@dataclasses.dataclass(frozen=True)
class Part:
    """A place in a model that a mapping of options fills.

    Options that only another kind has are known and left aside: one key of a config changes the kind.

    Attributes:
      kinds: module classes by the names that the option "kind" gives them, the default first; one class has no kinds.
      given: attributes that the model sets itself; they are no options.
    """

    kinds: Mapping[str, type[nn.Module]]
    given: tuple[str, ...] = ()

    def made_of(self, options: Mapping[str, Any] | None) -> type[nn.Module]:
        """The class that options choose.

        Raises:
          InputError: an unknown kind.
        """
        default = next(iter(self.kinds))
        kind = (options or {}).get(KIND, default)
        if kind not in self.kinds:
            raise InputError(f"{KIND}={kind!r}: choose one of {', '.join(self.kinds)}")
        return self.kinds[kind]

    def options(self, made_of: type[nn.Module] | None = None) -> list[str]:
        """Names of the options of one class, by default of all kinds, and "kind" where there are several."""
        if made_of is not None:
            return [name for name in option_names(made_of) if name not in self.given]
        found = dict.fromkeys(name for each in self.kinds.values() for name in self.options(each))
        return [*([KIND] if len(self.kinds) > 1 else []), *found]

    def create(self, options: Mapping[str, Any], *, name: str, **given: Any) -> nn.Module:
        """The module.

        Args:
          options: of the module, and its kind.
          name: of the submodule, and of the part in messages.
          **given: what the model sets; a kind that has no such attribute goes without.

        Raises:
          InputError: an unknown kind or option.
        """
        try:
            made_of = self.made_of(options)
        except InputError as fault:
            raise InputError(f"{name}.{fault}") from None
        known = self.options()
        for key in options:
            if key not in known:
                near = nearest_key(key, known)
                raise InputError(
                    f"{name}.{key} is no option; " + (f"did you mean {near!r}?" if near else f"use {', '.join(known)}")
                )
        own, fields = self.options(made_of), {field.name for field in dataclasses.fields(made_of)}
        attributes = {key: value for key, value in given.items() if key in fields}
        attributes |= {key: value for key, value in options.items() if key in own}
        return made_of(**attributes, name=name)


def option_names(made_of: type[nn.Module]) -> list[str]:
    """The attributes of a module that a config can give: no functions, none of Linen's own."""
    fields = [f for f in dataclasses.fields(made_of) if f.name not in ("name", "parent")]
    return [f.name for f in fields if f.default is dataclasses.MISSING or not callable(f.default)]


def parts_of(made_of: type[nn.Module]) -> Mapping[str, Part]:
    """The parts of a model, by the names of its attributes; none where it has no table `PARTS`."""
    return getattr(made_of, "PARTS", {})

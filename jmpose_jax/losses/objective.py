"""What training minimises: an objective is a frozen dataclass whose fields are the keys of `config.loss`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import jax

from jmpose_jax.errors import InputError
from jmpose_jax.nearest import nearest_key

Terms = Mapping[str, tuple[jax.Array, jax.Array]]


class Objective(Protocol):
    """Loss terms of a system's output, and what each of them weighs.

    Attributes:
      weights: term -> weight, as the config gives it.
      TERMS: the terms that there are. An output that has no part for a term gives none of it.
    """

    weights: Mapping[str, float]
    TERMS: ClassVar[tuple[str, ...]]

    def __call__(self, output: Any, batch: Any) -> Terms:
        """{term: (sum, count)}, float32 scalars that may be added over devices before they are divided."""

    def term_weights(self) -> dict[str, float]:
        """What each term enters the total with; arrays of the compiled step, so that sweeping them compiles nothing."""


def create_objective(made_of: type[Objective], options: Mapping[str, Any]) -> Objective:
    """The objective that a config describes.

    Args:
      made_of: its class.
      options: `config.loss`, plain values; a field that is not given has its default.

    Raises:
      InputError: a key is no field, or a weight is of no term, with the nearest that is.
    """
    known = [field.name for field in dataclasses.fields(made_of)]
    for key in options:
        if key not in known:
            raise InputError(f"loss.{key} is no option of {made_of.__name__}{_hint(key, known)}")
    objective = made_of(**options)
    for term in objective.weights:
        if term not in made_of.TERMS:
            raise InputError(f"loss.weights.{term} is no term of {made_of.__name__}{_hint(term, made_of.TERMS)}")
    return objective


def _hint(key: str, known: Any) -> str:
    near = nearest_key(key, known)
    return f"; did you mean {near!r}?" if near else f"; it has {', '.join(known)}"

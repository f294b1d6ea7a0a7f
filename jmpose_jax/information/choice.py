"""Which estimator each information term has."""

from collections.abc import Mapping

from jmpose_jax.errors import InputError
from jmpose_jax.information.estimators import get_estimator

INFORMATION_TERMS = ("relevancy", "complement", "redundancy")
DEFAULT_ESTIMATORS = {"relevancy": "vml_js", "complement": "vsd", "redundancy": "vsd"}


def resolve_estimators(estimators: Mapping[str, str] | None) -> dict[str, str]:
    """Estimator of every term, the defaults where none is given.

    Raises:
      InputError: an unknown term or estimator.
    """
    chosen = DEFAULT_ESTIMATORS | dict(estimators or {})
    for term, name in chosen.items():
        if term not in INFORMATION_TERMS:
            raise InputError(f"estimators: {term!r} is no information term; use {', '.join(INFORMATION_TERMS)}")
        get_estimator(name)
    return chosen

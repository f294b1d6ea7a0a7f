"""State dict to variables and back, by a name table."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.weights.layers import COUNTER, Entry, Layer, entries, flatten, to_flax, to_torch, unflatten

logger = logging.getLogger(__name__)
WRAPPERS = ("state_dict", "model_state_dict", "model")
PARALLEL_PREFIX = "module."
MAX_WRAPPERS = 8


class WeightsError(InputError):
    """A state dict does not fit the model.

    Attributes:
      missing: keys that the model needs and the state dict lacks.
      unexpected: keys of the state dict that the model has no place for.
      misshapen: (key, shape found, shape needed).
    """

    def __init__(
        self,
        model: str,
        missing: Iterable[str] = (),
        unexpected: Iterable[str] = (),
        misshapen: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]] = (),
    ):
        self.missing, self.unexpected, self.misshapen = tuple(missing), tuple(unexpected), tuple(misshapen)
        wrong = [f"{key} {list(found)} instead of {list(needed)}" for key, found, needed in self.misshapen]
        parts = [
            f"{len(keys)} {kind}: {', '.join(keys)}"
            for kind, keys in (("missing", self.missing), ("unexpected", self.unexpected), ("misshapen", wrong))
            if keys
        ]
        super().__init__(
            f"the state dict does not fit {model}; use the checkpoint or the model name that belongs to it: "
            + "; ".join(parts)
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of the keys of a state dict.

    Attributes:
      matched: keys that were converted.
      unmatched: keys that the model has no place for.
      initial: keys that the model needs and the state dict lacks; their variables keep their initial values.
      ignored: the batch counters, which the model does without.
      cast: keys whose values were turned into float32, with the dtype they had.
    """

    matched: tuple[str, ...]
    unmatched: tuple[str, ...]
    initial: tuple[str, ...]
    ignored: tuple[str, ...]
    cast: tuple[tuple[str, str], ...]


def unwrap(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what trainers wrap around a state dict: outer "state_dict" entries, a "module." before every key."""
    for _ in range(MAX_WRAPPERS):
        inner = next((mapping[key] for key in WRAPPERS if isinstance(mapping.get(key), Mapping)), None)
        if inner is None:
            break
        mapping = inner
    mapping = dict(mapping)
    while mapping and all(str(key).startswith(PARALLEL_PREFIX) for key in mapping):
        mapping = {key[len(PARALLEL_PREFIX) :]: value for key, value in mapping.items()}
    return mapping


def to_variables(
    model: str,
    table: Iterable[Layer],
    abstract: Mapping[str, Any],
    mapping: Mapping[str, Any],
    initial: Callable[[set[tuple[str, ...]]], Mapping[tuple[str, ...], Any]] | None = None,
) -> tuple[dict[str, Any], Report]:
    """Convert a state dict.

    Args:
      model: name for messages.
      table: the model's name table.
      abstract: the model's variables as arrays or ShapeDtypeStructs.
      mapping: PyTorch key -> array, already unwrapped.
      initial: gives the initial values of the leaves whose paths it is called with; they fill in for missing keys, and
        unexpected keys are passed over. None makes both errors.

    Returns:
      {"params": …, "batch_stats": …} of float32 NumPy arrays, and the report.

    Raises:
      WeightsError: names every missing, unexpected and misshapen key.
    """
    leaves = {path: tuple(leaf.shape) for path, leaf in flatten(abstract)}
    known = entries(table, leaves)
    taken: dict[str, Entry] = {}
    absent: list[Entry] = []
    for entry in known:
        present = [key for key in (entry.key, *entry.aliases) if key in mapping]
        taken.update(dict.fromkeys(present, entry))
        if not present:
            absent.append(entry)
    arrays = {key: np.asarray(mapping[key]) for key in taken}
    misshapen = [(k, a.shape, taken[k].shape) for k, a in arrays.items() if a.shape != taken[k].shape]
    ignored = tuple(key for key in mapping if key not in taken and key.rsplit(".", 1)[-1] == COUNTER)
    unmatched = tuple(key for key in mapping if key not in taken and key not in ignored)
    strict = initial is None
    if misshapen or (strict and (absent or unmatched)):
        missing = [entry.key for entry in absent]
        raise WeightsError(model, missing if strict else (), unmatched if strict else (), misshapen)

    filled = {path: np.zeros(shape, np.float32) for path, shape in leaves.items()}
    if initial is not None and absent:
        values = initial({entry.path for entry in absent})
        filled.update({path: np.array(leaf, np.float32) for path, leaf in values.items()})
    for key, entry in taken.items():
        filled[entry.path][entry.index] = to_flax(entry.kind, arrays[key].astype(np.float32))
    cast = tuple((key, str(array.dtype)) for key, array in arrays.items() if array.dtype != np.float32)
    if cast:
        dtypes = sorted({dtype for _, dtype in cast})
        logger.warning("%s: %d tensors of %s were cast to float32", model, len(cast), ", ".join(dtypes))
    variables = {"params": {}, "batch_stats": {}} | unflatten(filled)
    return variables, Report(tuple(taken), unmatched, tuple(entry.key for entry in absent), ignored, cast)


def to_mapping(model: str, table: Iterable[Layer], variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert variables to a state dict.

    Args:
      model: name for messages.
      table: the model's name table.
      variables: {"params": …, "batch_stats": …}.

    Returns:
      PyTorch key -> float32 array in PyTorch's order of layers, with batch counters of 0.

    Raises:
      InputError: the variables are not those of the model.
    """
    table = list(table)
    leaves = dict(flatten(variables))
    try:
        known = entries(table, {path: tuple(leaf.shape) for path, leaf in leaves.items()})
    except ValueError as error:
        raise InputError(f"the variables are not those of {model}: {error}") from None
    mapping: dict[str, np.ndarray] = {}
    for entry in known:
        value = to_torch(entry.kind, np.asarray(leaves[entry.path][entry.index], np.float32))
        for key in (entry.key, *entry.aliases):
            mapping[key] = value
            layer, name = key.rsplit(".", 1)
            if name == "running_var":
                mapping[f"{layer}.{COUNTER}"] = np.zeros((), np.int64)
    return mapping

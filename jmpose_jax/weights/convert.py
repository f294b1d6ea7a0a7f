"""State dict to variables and back, by a name table."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.weights.layers import COUNTER, ENTRIES, Entry, Layer, entries, flatten, to_flax, to_torch, unflatten

logger = logging.getLogger(__name__)
EXAMPLES = 3
LONGEST_MESSAGE = 560


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
        hints: Iterable[str] = (),
    ):
        """Keep all keys; the message has three of each kind, their counts, and the hints."""
        self.missing, self.unexpected, self.misshapen = tuple(missing), tuple(unexpected), tuple(misshapen)
        hints = tuple(hints) or ("use the checkpoint or the model name that belongs to it",)
        for longest in (80, 60, 44, 32, 20):
            message = f"the state dict does not fit {model}; " + "; ".join((*hints, *self._parts(longest)))
            if len(message) <= LONGEST_MESSAGE:
                break
        super().__init__(message)

    def _parts(self, longest: int) -> list[str]:
        """The counts with examples, each key in at most so many characters."""
        wrong = [
            f"{_short(key, longest)} {list(found)} instead of {list(needed)}"
            for key, found, needed in self.misshapen[:EXAMPLES]
        ]
        counts = {"missing": self.missing, "unexpected": self.unexpected, "misshapen": self.misshapen}
        parts = []
        for kind, keys in counts.items():
            shown = wrong if kind == "misshapen" else [_short(key, longest) for key in keys[:EXAMPLES]]
            if keys:
                parts.append(f"{len(keys)} {kind}: {', '.join(shown)}" + (", …" if len(keys) > EXAMPLES else ""))
        return parts


def _short(key: str, longest: int) -> str:
    """The end of a long key, which tells more than its start, in one line."""
    key = " ".join(str(key).split())
    return key if len(key) <= longest else f"…{key[1 - longest :]}"


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of the keys of a state dict.

    Attributes:
      matched: keys that were converted.
      unmatched: keys that the model has no place for.
      initial: keys that the model needs and the state dict lacks; their variables keep their initial values.
      ignored: the batch counters, which the model does without.
      cast: keys whose values were turned into float32, with the dtype they had.
      prefix: what was taken off the keys.
      negative: variances below 0, which make the network's output NaN.
      copies: prefixes under which the same model lies again (averaged weights, say); those were left.
      of_training: keys of gradients, the optimizer or the loss, which were left too.
    """

    matched: tuple[str, ...]
    unmatched: tuple[str, ...]
    initial: tuple[str, ...]
    ignored: tuple[str, ...]
    cast: tuple[tuple[str, str], ...]
    negative: tuple[str, ...] = ()
    prefix: str = ""
    copies: tuple[str, ...] = ()
    of_training: tuple[str, ...] = ()


def to_variables(
    model: str,
    table: Iterable[Layer],
    abstract: Mapping[str, Any],
    mapping: Mapping[str, Any],
    initial: Callable[[set[tuple[str, ...]]], Mapping[tuple[str, ...], Any]] | None = None,
    outside: Iterable[str] = (),
    hints: Callable[[int, int], Iterable[str]] = lambda matched, needed: (),
) -> tuple[dict[str, Any], Report]:
    """Convert a state dict.

    Args:
      model: name for messages.
      table: the model's name table.
      abstract: the model's variables as arrays or ShapeDtypeStructs.
      mapping: PyTorch key -> array, already unwrapped.
      initial: gives the initial values of the leaves whose paths it is called with; they fill in for missing keys, and
        unexpected keys are passed over. None makes both errors.
      outside: further keys of the file, which the model has no place for.
      hints: what a refusal should say first, from the numbers of keys matched and needed.

    Returns:
      {"params": …, "batch_stats": …} of float32 NumPy arrays, and the report.

    Raises:
      WeightsError: keeps every missing, unexpected and misshapen key. Where fewer than half of the model's keys match,
        initial values do not help: it is another model, or another naming.
      InputError: values are not finite, or no floating-point numbers.
    """
    table, leaves = list(table), {path: tuple(leaf.shape) for path, leaf in flatten(abstract)}
    known = entries(table, leaves)
    unread = {f"{layer.torch}.{name}" for layer in table if layer.unread for name, *_ in ENTRIES[layer.kind]}
    taken: dict[str, Entry] = {}
    absent: list[Entry] = []
    for entry in known:
        present = [key for key in (entry.key, *entry.aliases) if key in mapping]
        taken.update(dict.fromkeys(present, entry))
        if not present:
            absent.append(entry)
    arrays = {key: np.asarray(mapping[key]) for key in taken}
    misshapen = [(k, a.shape, taken[k].shape) for k, a in arrays.items() if a.shape != taken[k].shape]
    ignored = tuple(key for key in mapping if key not in taken and (key in unread or key.rsplit(".", 1)[-1] == COUNTER))
    unmatched = (*(key for key in mapping if key not in taken and key not in ignored), *outside)
    strict = initial is None or 2 * len(absent) > len(known)
    if misshapen or (strict and (absent or unmatched)):
        missing = [entry.key for entry in absent]
        if misshapen or absent:
            said = hints(len(known) - len(absent), len(known))
        else:
            said = [f"all of the model's {len(known)} keys match; give --partial to pass over the others"]
        raise WeightsError(model, missing if strict else (), unmatched if strict else (), misshapen, said)
    _check_floating(model, arrays)
    arrays = {key: (np.asarray(array, np.float32), str(array.dtype)) for key, array in arrays.items()}
    _check_finite(model, {key: array for key, (array, _) in arrays.items()})

    filled = {path: np.zeros(shape, np.float32) for path, shape in leaves.items()}
    if initial is not None and absent:
        values = initial({entry.path for entry in absent})
        filled.update({path: np.array(leaf, np.float32) for path, leaf in values.items()})
    for key, entry in taken.items():
        filled[entry.path][entry.index] = to_flax(entry.kind, arrays[key][0])
    cast = tuple((key, dtype) for key, (_, dtype) in arrays.items() if dtype != "float32")
    if cast:
        dtypes = sorted({dtype for _, dtype in cast})
        logger.warning("%s: %d tensors of %s were cast to float32", model, len(cast), ", ".join(dtypes))
    variables = {"params": {}, "batch_stats": {}} | unflatten(filled)
    negative = tuple(k for k, entry in taken.items() if entry.path[-1] == "var" and (arrays[k][0] < 0).any())
    initials = tuple(entry.key for entry in absent)
    return variables, Report(tuple(taken), unmatched, initials, ignored, cast, negative)


def to_mapping(model: str, table: Iterable[Layer], variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert variables to a state dict.

    Args:
      model: name for messages.
      table: the model's name table.
      variables: {"params": …, "batch_stats": …}.

    Returns:
      PyTorch key -> float32 array in PyTorch's order of layers, with batch counters of 0.

    Raises:
      InputError: the variables are not those of the model, or not finite.
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
    _check_finite(model, mapping)
    return mapping


def _check_floating(model: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Quantized weights lack their scales here, and the real part of complex ones is no weight."""
    wrong = [key for key, array in arrays.items() if not jnp.issubdtype(array.dtype, jnp.floating)]
    if wrong:
        raise InputError(
            f"the weights for {model}: {len(wrong)} of {len(arrays)} tensors are no floating-point numbers, such as "
            f"{_short(wrong[0], 60)} of {arrays[wrong[0]].dtype}; use the checkpoint before it was quantized"
        )


def _check_finite(model: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse NaN and infinity (in float32), which would reach every pose."""
    broken = [key for key, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        shown = ", ".join(_short(key, 60) for key in broken[:EXAMPLES]) + (", …" if len(broken) > EXAMPLES else "")
        raise InputError(
            f"the weights for {model}: {len(broken)} of {len(arrays)} tensors hold NaN or infinity: {shown}; "
            "the training that made them failed or the file is damaged; use another checkpoint"
        )

"""Finding a model's tensors in what trainers write around them: nested entries, and prefixes of every key."""

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from jmpose_jax.errors import InputError
from jmpose_jax.weights.layers import COUNTER

MAX_NESTING = 8
# What PyTorch's own wrappers (DataParallel, torch.compile, FSDP, checkpointing) put into a key; no model uses them.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# Entries of a checkpoint that hold a state dict, best first; plain weights come before averaged ones.
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights", "student", "generator")
AVERAGED = re.compile(
    r"(.*_)?(ema|swa|shadow|averaged?|avg|moving_average|teacher|momentum|target)(_.*)?", re.IGNORECASE
)
# What a trainer keeps beside the weights, in the same names and shapes: never a model.
OF_TRAINING = re.compile(
    r"(.*_)?(optim|optimizers?|opt_state|grads?|gradients?|(exp|square)_avg|exp_inf|momentum_buffer|moments?|velocity"
    r"|loss|losses|criterion)(_.*)?",
    re.IGNORECASE,
)
# Parts that mmpose keeps beside "backbone." and that are of the same published model.
HEADS = ("head", "keypoint_head")
PLAIN = {*NESTED, *WRAPPERS, "backbone"}  # names that say no more than that the model lies below
AS_GOOD = 0.9  # of the best prefix's keys: so many make another prefix a second copy of the model


@dataclasses.dataclass(frozen=True)
class Found:
    """The tensors of a model in a checkpoint.

    Attributes:
      tensors: key without the prefix -> tensor, for every key under the prefix.
      prefix: what was taken off, "" or ending in a point.
      copies: other prefixes under which the same model lies, e.g. averaged weights.
      outside: keys of neither.
      ignored: single numbers that are no weights, such as the count of an average.
      matched: how many names of the model were found.
      of_training: keys of gradients, the optimizer or the loss, which are no part of the model.
      doubt: why no prefix could be chosen, and how to choose; "" where there is no doubt.
    """

    tensors: dict[str, Any]
    prefix: str
    copies: tuple[str, ...]
    outside: tuple[str, ...]
    ignored: tuple[str, ...]
    matched: int
    of_training: tuple[str, ...] = ()
    doubt: str = ""


def flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of nested mappings by their path with points; what is no tensor, or has no name, is left out."""
    found: dict[str, Any] = {}

    def walk(inner: Mapping[Any, Any], before: str, depth: int) -> None:
        for key, value in inner.items():
            if not isinstance(key, str):
                continue
            if isinstance(value, Mapping):
                if depth < MAX_NESTING:
                    walk(value, f"{before}{key}.", depth + 1)
            elif hasattr(value, "shape"):
                found.setdefault(f"{before}{key}", value)

    walk(mapping, "", 0)
    return found


def unwrap(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Take off what can be told without knowing the model: outer entries, and PyTorch's wrappers before every key."""
    for _ in range(MAX_NESTING):
        nested = {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, Mapping)}
        names = [key for key in NESTED if key in nested] or [key for key in nested if AVERAGED.fullmatch(key)]
        if not names:
            break
        mapping = nested[names[0]]
    mapping = dict(mapping)
    while mapping and len({first := str(key).partition(".")[0] for key in mapping}) == 1 and first in WRAPPERS:
        mapping = {key.partition(".")[2]: value for key, value in mapping.items()}
    return mapping


def find(mapping: Mapping[str, Any], names: Mapping[str, str], prefix: str | None = None) -> Found:
    """Find the tensors of a model under the prefix that makes the most of its names match.

    Args:
      mapping: what the file holds, nested or not.
      names: every key that the model knows -> its first name, which aliases share.
      prefix: take the keys under this prefix; None chooses. Of equals, plain weights are chosen before averaged ones;
        gradients and the optimizer's values are never chosen.

    Raises:
      InputError: no key is under the given prefix.
    """
    tensors = _without_wrappers(flat(mapping))
    matches = _matches(tensors, names)
    beside = [p for p in matches if _is_any(OF_TRAINING, p)]
    best = max((len(keys) for p, keys in matches.items() if p not in beside), default=0)
    full = [p for p, keys in matches.items() if p not in beside and len(keys) >= AS_GOOD * best]
    doubt = ""
    if prefix is None:
        chosen = min(full, key=lambda p: (_rank(p), -len(matches[p])), default="")
        equal = [p for p in full if _rank(p) == _rank(chosen)]
        half = len(set(names.values())) / 2
        if best >= half and len(equal) > 1:
            doubt = (
                f"{len(equal)} copies of the model lie there, under {_quoted(equal)}, and the names do not tell which "
                f"is meant: choose with --prefix={equal[0].rstrip('.')} or --prefix={equal[1].rstrip('.')}"
            )
        elif best < half and any(len(matches[p]) >= half for p in beside):
            held = [p for p in beside if len(matches[p]) >= half]
            doubt = (
                f"the model's keys lie there only under {_quoted(held)}, which are no weights but what a training "
                "keeps beside them: give the file of the weights, or "
                f"--prefix={held[0].rstrip('.')} to take them all the same"
            )
    else:
        chosen = "".join(f"{part}." for part in prefix.split(".") if part and part not in WRAPPERS)
        if not any(key.startswith(chosen) for key in tensors):
            held = f"; the model lies under {_quoted(full)}" if best else ""
            raise InputError(f"--prefix={prefix}: no key of the file begins so{held}")
    copies = tuple(p for p in full if p != chosen)
    inner = tuple(p for p in copies if p.startswith(chosen))  # a copy may lie within what was chosen
    taken, rest = {}, {}
    for key, value in tensors.items():
        if key.startswith(chosen) and not key.startswith(inner):
            taken[key[len(chosen) :]] = value
        else:
            rest[key] = value
    _take_heads(taken, rest, chosen, names)
    # A single number that is no weight of the model, such as the decay of an average, is no part of it either.
    rest |= {f"{chosen}{k}": taken.pop(k) for k in list(taken) if taken[k].shape == () and not _belongs(k, names)}
    others = tuple(p for p in copies if p)
    rest = {k: v for k, v in rest.items() if not k.startswith(others) and not ("" in copies and k in names)}
    rest |= {f"{chosen}{k}": taken.pop(k) for k in list(taken) if k not in names and _is_any(OF_TRAINING, k)}
    ignored = tuple(key for key, value in rest.items() if value.shape == ())
    arrays = [key for key, value in rest.items() if value.shape != ()]
    of_training = tuple(key for key in arrays if _is_any(OF_TRAINING, key))
    outside = tuple(key for key in arrays if not _is_any(OF_TRAINING, key))
    matched = len({names[key] for key in taken if key in names})
    return Found(taken, chosen, copies, outside, ignored, matched, of_training, doubt)


def in_common(keys: Collection[str]) -> str:
    """What most keys begin with, in words; "" where they have nothing in common."""
    first, count = max(
        Counter(key.partition(".")[0] for key in keys if "." in key).items(), key=_count, default=("", 0)
    )
    if len(keys) < 2 or count < 0.6 * len(keys):
        return ""
    return f"{count} of its {len(keys)} keys begin with {first[:40] + '.'!r}"


def _count(item: tuple[str, int]) -> int:
    return item[1]


def _without_wrappers(tensors: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for key, value in tensors.items():
        short = ".".join(part for part in key.split(".") if part not in WRAPPERS)
        cleaned[key if not short or short in cleaned or (short != key and short in tensors) else short] = value
    return cleaned


def _matches(tensors: Collection[str], names: Mapping[str, str]) -> dict[str, set[str]]:
    """The names of the model under every prefix, in the order of the file."""
    matches: dict[str, set[str]] = {}
    for key in tensors:
        start = 0
        while start >= 0:
            if (name := names.get(key[start:])) is not None:
                matches.setdefault(key[:start], set()).add(name)
            start = key.find(".", start) + 1 or -1
    return matches


def _belongs(key: str, names: Mapping[str, str]) -> bool:
    return key in names or key.rpartition(".")[2] == COUNTER


def _is_any(names: re.Pattern, key: str) -> bool:
    return any(names.fullmatch(part) for part in key.split(".") if part)


def _rank(prefix: str) -> int:
    """0 for weights under a name that says no more, 1 under another name, 2 for averaged ones."""
    if _is_any(AVERAGED, prefix):
        return 2
    return int(not PLAIN.issuperset(part for part in prefix.split(".") if part))


def _quoted(prefixes: Collection[str]) -> str:
    return ", ".join(repr(prefix[-40:]) for prefix in list(prefixes)[:4])


def _take_heads(taken: dict[str, Any], rest: dict[str, Any], prefix: str, names: Mapping[str, str]) -> None:
    """Move what lies beside the backbone, under a head's name, to the model's tensors."""
    outer = prefix.rstrip(".").rpartition(".")[0]
    outer = f"{outer}." if outer else ""
    have = {names[key] for key in taken if key in names}
    for head in HEADS if prefix else ():
        for key in [key for key in rest if key.startswith(f"{outer}{head}.")]:
            inner = key[len(outer) + len(head) + 1 :]
            if names.get(inner, inner) not in have and inner in names:
                taken[inner] = rest.pop(key)

"""The key that was probably meant by one that is not known."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.6  # of difflib's ratio: below it a suggestion is a guess
SAME_SECTION = 0.75  # of two sections' names: one is a slip of the pen of the other


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The first of `nearest_keys`; None where none is close."""
    return next(iter(nearest_keys(key, known)), None)


def nearest_keys(key: str, known: Iterable[str]) -> list[str]:
    """The known keys that are nearest to an unknown one, all that are equally near.

    Args:
      key: flat, parts joined by dots, e.g. "train.learning_rate".
      known: flat keys, of the whole config.

    Returns:
      Keys with the same last part, whatever section they lie in; else those whose last part has the given one as its
      initials ("lr") or as one of its words; else the closest spelling. Of several, those in the section that is
      written, if there are any, and the closest first. Empty where none is close.
    """
    known, last = list(known), _last(key)
    rules = (
        lambda name: name == last,
        lambda name: len(last) > 1 and last == _initials(name),
        lambda name: last in name.split("_"),
    )
    for fits in rules:
        if found := [candidate for candidate in known if fits(_last(candidate))]:
            return _nearest_sections(key, found)
    parts = difflib.get_close_matches(last, {_last(candidate) for candidate in known}, n=1, cutoff=0.75)
    if parts:  # a slip of the pen in the last part counts more than the same section
        return _nearest_sections(key, [candidate for candidate in known if _last(candidate) == parts[0]])
    whole = difflib.get_close_matches(key, known, n=1, cutoff=CUTOFF)
    # A long section in common makes unlike names close: the names themselves must be alike as well.
    return whole if whole and _closeness(last, _last(whole[0])) >= CUTOFF else []


def _nearest_sections(key: str, found: list[str]) -> list[str]:
    """Of keys that fit, those whose section is about the given one; all where none is. The closest come first."""
    section = _section(key)
    near = [candidate for candidate in found if _closeness(section, _section(candidate)) >= SAME_SECTION]
    return sorted(near if section and near else found, key=lambda candidate: -_closeness(key, candidate))


def _closeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _last(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))

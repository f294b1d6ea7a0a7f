"""The key that was probably meant by one that is not known."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.6  # of difflib's ratio: below it a suggestion is a guess


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The known key that is nearest to an unknown one.

    Args:
      key: flat, parts joined by dots, e.g. "train.learning_rate".
      known: flat keys, of the whole config.

    Returns:
      A key with the same last part, whatever section it lies in; else one whose last part has the given one as its
      initials ("lr"); else the closest spelling; None where none is close.
    """
    known, last = list(known), _last(key)

    def closeness(candidate: str) -> float:
        return difflib.SequenceMatcher(None, key, candidate).ratio()

    for fits in (lambda name: name == last, lambda name: len(last) > 1 and last == _initials(name)):
        if found := [candidate for candidate in known if fits(_last(candidate))]:
            return max(found, key=closeness)
    parts = difflib.get_close_matches(last, {_last(candidate) for candidate in known}, n=1, cutoff=0.75)
    if parts:  # a slip of the pen in the last part counts more than the same section
        return max((candidate for candidate in known if _last(candidate) == parts[0]), key=closeness)
    whole = difflib.get_close_matches(key, known, n=1, cutoff=CUTOFF)
    # A long section in common makes unlike names close: the names themselves must be alike as well.
    return whole[0] if whole and difflib.SequenceMatcher(None, last, _last(whole[0])).ratio() >= CUTOFF else None


def _last(key: str) -> str:
    return key.rsplit(".", 1)[-1]


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))

"""Stretches of frames in which a joint is known without a break."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

BLOCK = 4096  # frames that a filter works on at once, so that its memory does not grow with the sequence


def runs(valid: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The stretches of all joints; joints that share one come together.

    Args:
      valid: bool [T, K].

    Yields:
      (frames, joints): a slice of T, and int64 [J], the joints that are valid in all of these frames and not in the
      frame before or behind them.
    """
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for joint in range(valid.shape[1]):
        edges = np.diff(valid[:, joint].astype(np.int8), prepend=0, append=0)
        for start, stop in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()):
            found[start, stop].append(joint)
    for (start, stop), joints in found.items():
        yield slice(start, stop), np.array(joints)


def in_blocks(run: np.ndarray, reach: int, apply: Callable[[np.ndarray], np.ndarray], block: int = BLOCK) -> np.ndarray:
    """Apply a filter of finite reach block by block; the result is that of the whole.

    Args:
      run: float [n, …], one stretch.
      reach: frames on either side that a value depends on, the filter's own treatment of the ends included.
      apply: float [m, …] -> float [m, …].
      block: frames at once.

    Returns:
      float [n, …].
    """
    if len(run) <= block + 2 * reach:
        return apply(run)
    result = np.empty_like(run)
    for start in range(0, len(run), block):
        low, stop = max(start - reach, 0), min(start + block, len(run))
        high = min(stop + reach, len(run))
        result[start:stop] = apply(run[low:high])[start - low : stop - low]
    return result

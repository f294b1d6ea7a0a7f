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


def in_blocks(
    poses: np.ndarray,
    result: np.ndarray,
    frames: slice,
    joints: np.ndarray,
    reach: int,
    apply: Callable[[np.ndarray], np.ndarray],
    block: int = BLOCK,
) -> None:
    """Apply a filter of finite reach to one stretch, block by block; the result is that of the whole stretch.

    Args:
      poses: float [T, K, D].
      result: float64 [T, K, D], filled in place at `frames` and `joints`.
      frames, joints: the stretch, as `runs` gives it.
      reach: frames on either side that a value depends on, the filter's own treatment of the ends included.
      apply: float64 [m, J, D] -> float64 [m, J, D].
      block: frames at once.
    """
    stop = frames.stop
    if stop - frames.start <= block + 2 * reach:
        block = stop - frames.start
    for start in range(frames.start, stop, block):
        low, end = max(start - reach, frames.start), min(start + block, stop)
        part = np.asarray(poses[low : min(end + reach, stop), joints], np.float64)
        result[start:end, joints] = apply(part)[start - low : end - low]


def window_starts(length: int, window: int, step: int) -> list[int]:
    """Where windows begin: every `step` frames, and one that ends with the sequence, so that no frame is left out.

    Args:
      length: frames, at least `window`.
      window, step: frames.
    """
    starts = list(range(0, length - window + 1, step))
    return starts if starts[-1] == length - window else [*starts, length - window]

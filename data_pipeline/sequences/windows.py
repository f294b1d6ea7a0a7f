"""Which windows of which sequences a split is seen through, and sequences put together from windows that overlap."""

import dataclasses

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.refinement.runs import window_starts

TAILS = ("cover", "drop")
TRAINED_ON = ("starts", "frames")


@dataclasses.dataclass(frozen=True, eq=False)
class WindowTable:
    """The windows of a split.

    Attributes:
      window: W, frames.
      lengths: int64 [sequences], frames.
      sequence: int64 [n], place of each window's sequence, in rising order; each has a window.
      start: int64 [n], its first frame.
    """

    window: int
    lengths: np.ndarray
    sequence: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def joined(self, found: np.ndarray) -> list[np.ndarray]:
        """The sequences that windows make up, each frame the mean over those that hold it.

        Args:
          found: float [n, W, …], in the order of the table.

        Returns:
          One float64 [T', …] a sequence: up to the last frame that a window holds, padding included.

        Raises:
          InputError: `found` is of another number of windows or frames.
        """
        if found.shape[:2] != (len(self), self.window):
            raise InputError(f"{list(found.shape[:2])} windows and frames; the table has {[len(self), self.window]}")
        joined = []
        ends = np.searchsorted(self.sequence, np.arange(len(self.lengths)), side="right")
        for first, end in zip([0, *ends[:-1]], ends):
            rows = np.arange(first, end)
            frames = int(self.start[rows].max()) + self.window
            total, count = np.zeros((frames, *found.shape[2:])), np.zeros(frames)
            for row in rows:
                at = slice(self.start[row], self.start[row] + self.window)
                total[at] += found[row]
                count[at] += 1
            joined.append(total / count.reshape(-1, *[1] * (found.ndim - 2)))
        return joined


def evaluation_windows(lengths: np.ndarray, window: int, step: int, tail: str = "cover") -> WindowTable:
    """Windows that overlap, from the start of each sequence on.

    Args:
      lengths: int [sequences], frames.
      window, step: frames.
      tail: "cover" adds a window that ends with its sequence; "drop" leaves out the frames behind the last whole
        step, as the public code does (methods.md 4.4).

    Returns:
      The table; a sequence shorter than a window has one, which is padded.

    Raises:
      InputError: a size below 1, a step over the window, which would leave frames out, or an unknown tail.
    """
    _check(window, tail, TAILS, "tail")
    if not 1 <= step <= window:
        raise InputError(f"step={step} must be between 1 and the window's {window} frames")
    starts = []
    for length in lengths.tolist():
        found = window_starts(max(length, window), window, step)
        over = (max(length, window) - window) % step  # frames behind the last whole step
        starts.append(np.array(found[:-1] if tail == "drop" and over else found))
    return _table(window, lengths, starts)


def training_windows(lengths: np.ndarray, window: int, trained_on: str = "starts") -> WindowTable:
    """Every window of every sequence, once.

    Args:
      lengths: int [sequences], frames.
      window: frames.
      trained_on: "starts" takes each start once; "frames" takes one window a frame, whose start is the frame's place
        modulo the number of starts, as the public code does: long sequences weigh by their frames, and their early
        windows twice.

    Raises:
      InputError: a size below 1, or an unknown way.
    """
    _check(window, trained_on, TRAINED_ON, "train_windows")
    starts = []
    for length in lengths.tolist():
        count = max(length - window, 0) + 1
        starts.append(np.arange(count) if trained_on == "starts" else np.arange(length) % count)
    return _table(window, lengths, starts)


def _check(window: int, value: str, known: tuple[str, ...], name: str) -> None:
    if window < 1:
        raise InputError(f"window={window} must be at least 1 frame")
    if value not in known:
        raise InputError(f"{name}={value!r} is not known; use one of {', '.join(known)}")


def _table(window: int, lengths: np.ndarray, starts: list[np.ndarray]) -> WindowTable:
    sequence = np.repeat(np.arange(len(starts)), [len(each) for each in starts])
    return WindowTable(window, np.asarray(lengths, np.int64), sequence, np.concatenate(starts).astype(np.int64))

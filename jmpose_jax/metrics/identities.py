"""Multiple object tracking of whole persons: CLEAR MOT (MOTA, switches) and the identity measure IDF1.

MOTA follows Bernardin and Stiefelhagen (2008), IDF1 Ristani et al. (2016): the one assignment of predicted to true
identities over the whole video that makes the most right frames. Both are equal to py-motmetrics.
"""

import dataclasses

import numpy as np
from scipy.optimize import linear_sum_assignment

from jmpose_jax.metrics.tracking import match_frame


@dataclasses.dataclass(frozen=True)
class IdentityCounts:
    """What is counted, summed over videos by `+`.

    Attributes:
      objects: true persons in all frames.
      predictions: predicted ones.
      matches: true persons that a prediction covers, switches among them.
      switches: of those, whose prediction has another identity than the last one that covered them.
      identified: true persons covered by the identity that the best assignment over the whole video gives them (IDTP).
    """

    objects: int = 0
    predictions: int = 0
    matches: int = 0
    switches: int = 0
    identified: int = 0

    def __add__(self, other: "IdentityCounts") -> "IdentityCounts":
        names = [field.name for field in dataclasses.fields(self)]
        return IdentityCounts(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def misses(self) -> int:
        return self.objects - self.matches

    @property
    def false_positives(self) -> int:
        return self.predictions - self.matches

    def mota(self) -> float:
        """In percent; NaN without a true person."""
        faults = self.misses + self.false_positives + self.switches
        return 100.0 * (1 - faults / self.objects) if self.objects else float("nan")

    def idf1(self) -> float:
        """In percent; NaN with neither true nor predicted persons."""
        everybody = self.objects + self.predictions
        return 100.0 * 2 * self.identified / everybody if everybody else float("nan")


class IdentityScore:
    """Counts the frames of one video as they are added."""

    def __init__(self) -> None:
        self._partners: dict[int, int] = {}
        self._together: dict[tuple[int, int], int] = {}
        self._counts = IdentityCounts()

    def add(self, truth_ids: np.ndarray, predicted_ids: np.ndarray, distance: np.ndarray) -> None:
        """Take the next frame.

        Args:
          truth_ids: int [T], each once.
          predicted_ids: int [P], each once.
          distance: float [T, P], how unlike two persons are; NaN where they cannot be the same.
        """
        truth, predicted = np.asarray(truth_ids).tolist(), np.asarray(predicted_ids).tolist()
        distance = np.asarray(distance, float).reshape(len(truth), len(predicted)).T
        allowed = np.isfinite(distance)
        matches, switches = match_frame(distance, allowed, predicted, truth, self._partners)
        for row, column in zip(*np.nonzero(allowed)):
            pair = truth[column], predicted[row]
            self._together[pair] = self._together.get(pair, 0) + 1
        self._counts += IdentityCounts(len(truth), len(predicted), matches, switches)

    def counts(self) -> IdentityCounts:
        """Of the frames so far."""
        rows = {identity: i for i, identity in enumerate(sorted({true for true, _ in self._together}))}
        columns = {identity: i for i, identity in enumerate(sorted({found for _, found in self._together}))}
        frames = np.zeros((len(rows), len(columns)), np.int64)
        for (true, found), count in self._together.items():
            frames[rows[true], columns[found]] = count
        identified = int(frames[linear_sum_assignment(frames, maximize=True)].sum())
        return dataclasses.replace(self._counts, identified=identified)

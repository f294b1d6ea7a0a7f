"""Multiple object tracking accuracy of joints: every joint class is tracked on its own, as PoseTrack does.

Follows Bernardin and Stiefelhagen (2008): a pair that was matched before and still is within the threshold is kept;
the rest is assigned to most pairs at least total distance; a person whose partner changes makes a switch.
"""

import dataclasses

import numpy as np
from scipy.optimize import linear_sum_assignment

from jmpose_jax.metrics.matching import Matches
from jmpose_jax.metrics.sequence import Sequence


@dataclasses.dataclass
class TrackingCounts:
    """int64 [15] each, summed over sequences by `+`."""

    misses: np.ndarray
    switches: np.ndarray
    false_positives: np.ndarray
    objects: np.ndarray
    detections: np.ndarray

    @classmethod
    def zeros(cls) -> "TrackingCounts":
        return cls(*(np.zeros(15, np.int64) for _ in dataclasses.fields(cls)))

    def __add__(self, other: "TrackingCounts") -> "TrackingCounts":
        names = [field.name for field in dataclasses.fields(self)]
        return TrackingCounts(*(getattr(self, name) + getattr(other, name) for name in names))

    def mota(self) -> np.ndarray:
        """float64 [15] in percent, NaN where a joint is never annotated."""
        return 100.0 * (1.0 - _divide(self.misses + self.switches + self.false_positives, self.objects))

    def precision(self) -> np.ndarray:
        """float64 [15] in percent: detections among all predicted joints."""
        return 100.0 * _divide(self.detections, self.detections + self.false_positives)

    def recall(self) -> np.ndarray:
        """float64 [15] in percent: detections among all annotated joints."""
        return 100.0 * _divide(self.detections, self.objects)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(15, np.nan), where=b > 0)


def count_tracking(predictions: Sequence, ground_truth: Sequence, matches: Matches) -> TrackingCounts:
    """Misses, switches, false positives, objects and detections of one sequence.

    Two habits of the official evaluator are kept: the last frame of a sequence is left out, and a frame in which either
    side has no person counts one object, one miss and one false positive for every joint.
    """
    counts = TrackingCounts.zeros()
    partners: list[dict[int, int]] = [{} for _ in range(15)]
    frames = np.arange(ground_truth.num_frames + 1)
    person_start = np.searchsorted(ground_truth.frame, frames)
    prediction_start = np.searchsorted(predictions.frame, frames)
    pair_start = np.searchsorted(matches.pair_prediction, prediction_start)
    for f in range(ground_truth.num_frames - 1):
        persons = slice(person_start[f], person_start[f + 1])
        poses = slice(prediction_start[f], prediction_start[f + 1])
        num_persons, num_poses = persons.stop - persons.start, poses.stop - poses.start
        if not num_persons or not num_poses:
            counts.objects += 1
            counts.misses += 1
            counts.false_positives += 1
            continue
        pairs = slice(pair_start[f], pair_start[f + 1])
        distance = matches.distance[pairs].reshape(num_poses, num_persons, 15)
        matched = matches.matched[pairs].reshape(num_poses, num_persons, 15)
        num_objects = ground_truth.present[persons].sum(axis=0)
        num_joints = predictions.present[poses].sum(axis=0)
        object_ids = ground_truth.track_ids[persons].tolist()
        pose_ids = predictions.track_ids[poses].tolist()
        for joint in range(15):
            found, switched = match_frame(
                distance[..., joint], matched[..., joint], pose_ids, object_ids, partners[joint]
            )
            counts.detections[joint] += found
            counts.switches[joint] += switched
        counts.objects += num_objects
        counts.misses += num_objects
        counts.false_positives += num_joints
    # Every object that is not detected is missed, every joint that detects none is false.
    answered = counts.detections
    return dataclasses.replace(
        counts, misses=counts.misses - answered, false_positives=counts.false_positives - answered
    )


def match_frame(
    distance: np.ndarray, allowed: np.ndarray, pose_ids: list[int], object_ids: list[int], partner: dict[int, int]
) -> tuple[int, int]:
    """Match one joint class, or whole persons, in one frame and update who belongs to whom.

    Args:
      distance, allowed: [poses, objects].
      pose_ids, object_ids: track ids.
      partner: object id -> the pose id it was last matched with, over the whole sequence so far.

    Returns:
      detections, and how many of them are switches.
    """
    rows, columns = np.nonzero(allowed)
    if not len(rows):
        return 0, 0
    kept_rows, kept_columns = set(), set()
    for i, j in zip(rows.tolist(), columns.tolist()):
        if i not in kept_rows and partner.get(object_ids[j]) == pose_ids[i]:
            kept_rows.add(i)
            kept_columns.add(j)
    open_pairs = [
        (i, j) for i, j in zip(rows.tolist(), columns.tolist()) if i not in kept_rows and j not in kept_columns
    ]
    switches = 0
    assigned = _assign(distance, open_pairs)
    for i, j in assigned:
        switches += object_ids[j] in partner  # a kept pair is not open, so the partner is another one
        partner[object_ids[j]] = pose_ids[i]
    return len(kept_rows) + len(assigned), switches


def _assign(distance: np.ndarray, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most pairs that share no row and no column, at least total distance."""
    rows, columns = {i for i, _ in pairs}, {j for _, j in pairs}
    if len(rows) == len(pairs) == len(columns):
        return pairs
    rows, columns = sorted(rows), sorted(columns)
    allowed = {(rows.index(i), columns.index(j)): distance[i, j] for i, j in pairs}
    forbidden = 2.0 * min(len(rows), len(columns)) * (max(allowed.values()) + 1.0)
    cost = np.full((len(rows), len(columns)), forbidden)
    for place, value in allowed.items():
        cost[place] = value
    return [(rows[i], columns[j]) for i, j in zip(*linear_sum_assignment(cost)) if (i, j) in allowed]

"""Which predicted pose belongs to which annotated person: the official one-to-one assignment, all frames at once."""

import dataclasses

import numpy as np

from jmpose_jax.metrics.sequence import Sequence

DISTANCE_THRESHOLD = 0.5  # of the head size, inclusive


@dataclasses.dataclass(frozen=True)
class Matches:
    """The comparison of a video's predictions with its ground truth.

    Attributes:
      pair_prediction, pair_person: int64 [M], every (prediction, person) pair within a frame, ordered by prediction.
      distance: float64 [M, 15], joint distance / head size; inf where either joint is absent.
      matched: bool [M, 15], `distance <= 0.5`.
      person_of_prediction: int64 [N], the assigned person of each prediction or -1.
      correct: bool [N, 15], whether the predicted joint lies on the assigned person's joint.
    """

    pair_prediction: np.ndarray
    pair_person: np.ndarray
    distance: np.ndarray
    matched: np.ndarray
    person_of_prediction: np.ndarray
    correct: np.ndarray


def pairs_within_frames(predictions: Sequence, ground_truth: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """All (prediction, person) index pairs of equal frame, ordered by prediction, then person: two int64 [M]."""
    first = np.searchsorted(ground_truth.frame, predictions.frame, side="left")
    count = np.searchsorted(ground_truth.frame, predictions.frame, side="right") - first
    prediction = np.repeat(np.arange(predictions.num_persons), count)
    within = np.arange(len(prediction)) - np.repeat(np.cumsum(count) - count, count)
    return prediction, first[prediction] + within


def match(predictions: Sequence, ground_truth: Sequence) -> Matches:
    """Assign predictions to persons as the official evaluator does.

    PCK of a pair is the share of the person's annotated joints that the prediction hits. Each prediction keeps only the
    person of its highest PCK (the first on ties); each person then takes the prediction of the highest PCK among those
    left to it (the first on ties), if that is above zero. Neither scores nor an optimal assignment play a part.
    """
    prediction, person = pairs_within_frames(predictions, ground_truth)
    both = predictions.present[prediction] & ground_truth.present[person]
    difference = predictions.keypoints[prediction] - ground_truth.keypoints[person]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.linalg.norm(difference, axis=-1) / ground_truth.head_sizes[person, None]
    distance = np.where(both, distance, np.inf)
    matched = distance <= DISTANCE_THRESHOLD

    annotated = np.maximum(ground_truth.present.sum(axis=1), 1)
    pck = matched.sum(axis=1) / annotated[person]
    # Best person of each prediction: stable order, so that ties go to the first person.
    best = _first_of_each(prediction, np.lexsort((person, -pck, prediction)))
    best = best[pck[best] > 0]
    # Of these, the best prediction of each person.
    won = best[_first_of_each(person[best], np.lexsort((prediction[best], -pck[best], person[best])))]

    person_of_prediction = np.full(predictions.num_persons, -1, np.int64)
    person_of_prediction[prediction[won]] = person[won]
    correct = np.zeros(predictions.present.shape, bool)
    correct[prediction[won]] = matched[won]
    return Matches(prediction, person, distance, matched, person_of_prediction, correct)


def _first_of_each(key: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The entries of `order` at which a new value of `key[order]` begins."""
    ordered = key[order]
    return order[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(order) else order

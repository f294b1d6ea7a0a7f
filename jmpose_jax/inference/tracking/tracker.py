"""Identities for the persons of a video, frame by frame.

Persons and tracks are assigned at most likeness in all, in three rounds: sure persons with tracks, those that are left
with weak persons (ByteTrack's second chance, Zhang et al. 2022), and, where the number of people is known, those who
come back with those who were lost. Likeness is that of boxes and poses where motion expects them.
"""

import dataclasses
import math

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.tracking.likeness import box_iou, enlarged, pose_likeness
from jmpose_jax.inference.tracking.tracks import Track
from jmpose_jax.metrics.keypoints import joint_sigmas
from jmpose_jax.skeletons import POSETRACK15, Skeleton

MARGIN = 0.15  # of boxes when they are compared: those of fast people do not meet from frame to frame
MARGIN_A_FRAME = 0.03  # more of it for each frame unseen
WIDEST_MARGIN = 0.5
# OKS measures annotators; from one frame to the next a pose changes more, so that its σ are this much wider.
WIDER = 2.0
POSE_SHARE = 0.5  # of the pose in the likeness, of the box the rest
# Of somebody who comes back where the number of people is known: at most two sizes away, and at least half as large
# or small.
LEAST_NEARNESS = 1 / 3
LEAST_RATIO = 0.5
POSE_MEMORY = 8  # frames after which a pose says nothing any more


@dataclasses.dataclass(frozen=True)
class TrackingOptions:
    """Birth, life and death of tracks.

    Attributes:
      min_box_score: least score of a box that begins a track; weaker ones go on with one. By default any score does.
      weak_share: of `min_box_score`, below which a box is nobody.
      min_person_score: least product of the scores of box and joints (their mean) where a track begins, and on average
        until it is `min_track_length` long: things that a detector takes for people have poses of low scores.
      max_people: most people in a frame, and with it most tracks in memory; None sets no limit.
      min_track_length: frames from a track's first to its last person; shorter tracks get no place in the results.
      memory: frames that a track outlives unseen.
      patience: the same of a track that is not `min_track_length` long yet.
      least: likeness from which a sure person is the track's.
      least_weak: the same of a weak person, which is more often none.
    """

    min_box_score: float = -math.inf
    weak_share: float = 1 / 3
    min_person_score: float = -math.inf
    max_people: int | None = None
    min_track_length: int = 1
    memory: int = 30
    patience: int = 3
    least: float = 0.3
    least_weak: float = 0.35

    @property
    def weakest(self) -> float:
        """Score below which a box is nobody."""
        return self.weak_share * self.min_box_score

    def __post_init__(self) -> None:
        for name in ("min_box_score", "min_person_score"):
            value = getattr(self, name)
            if math.isnan(value) or value == math.inf:
                raise InputError(f"{name}={value}: give a score, mostly from 0 to 1")
        for name in ("max_people", "min_track_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: give 1 or more")


class Tracker:
    """Gives the persons of each frame their identities; frames must be given in the order of time, each once.

    Attributes:
      lasting: by identity, whether its track gets a place in the results; an identity that is absent is not decided
        yet, which takes at most `min_track_length + patience` frames, or `finish`.
      numbers: by identity, that in the results: tracks that get no place leave no gaps.
    """

    def __init__(self, options: TrackingOptions | None = None, skeleton: Skeleton = POSETRACK15):
        """Begin without a track.

        Args:
          options: the rules.
          skeleton: of the poses.

        Raises:
          InputError: a skeleton with joints of unknown σ.
        """
        self.options = options or TrackingOptions()
        self._sigmas = WIDER * joint_sigmas(skeleton)
        self._tracks: list[Track] = []
        self._next = 0
        self._frames = 0
        self._patience = self.options.patience
        self.lasting: dict[int, bool] = {}
        self.numbers: dict[int, int] = {}

    def update(
        self,
        boxes: np.ndarray,
        box_scores: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
        hidden: np.ndarray | None = None,
        step: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The identities of the N persons of the next frame.

        Args:
          boxes: float [N, 4], (x, y, width, height).
          box_scores: float [N], 0..1.
          keypoints: float [N, K, 2]; scores: float [N, K].
          hidden: bool [N], persons whose pose is another's: they go on with a track by their box, and begin none.
          step: frames since the last call, of which nothing is known but in this one.

        Returns:
          Identities int64 [N], -1 for those who belong to no track and begin none, and how sure they are, float64 [N]
          in 0..1: over the last frames, the mean likeness of person and track times its share beside that of the next
          like one.
        """
        options = self.options
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        box_scores = np.asarray(box_scores, np.float64)
        keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
        hidden = np.zeros(len(boxes), bool) if hidden is None else np.asarray(hidden, bool)
        scores = np.where(hidden[:, None], 0.0, scores)  # nothing is known of where they have their joints
        self._frames += step if self._frames else 1
        self._patience = max(options.patience, step)  # to have been missed once is to be unseen for this long
        for track in self._tracks:
            track.age += step
        person_scores = box_scores * scores.mean(axis=1) if len(boxes) else box_scores
        likeness = self._likeness(boxes, keypoints, scores)
        strong = (box_scores >= options.min_box_score) & ~hidden
        weak = ~strong & (box_scores >= options.weakest)
        recent = np.array([track.age <= self._patience for track in self._tracks], bool)
        every = np.ones(len(self._tracks), bool)

        rounds = [(likeness, strong, every, options.least), (likeness, weak, recent, options.least_weak)]
        if self._full():
            clear = strong & (person_scores >= options.min_person_score)
            rounds.append((self._nearness(boxes), clear, every, LEAST_NEARNESS))
        of_person = np.full(len(boxes), -1, np.int64)  # place among the tracks
        for alike, persons, tracks, least in rounds:
            rows = np.flatnonzero(persons & (of_person < 0))
            columns = np.flatnonzero(tracks & ~np.isin(np.arange(len(every)), of_person))
            for i, j in best_pairs(alike[np.ix_(rows, columns)], least):
                of_person[rows[i]] = columns[j]

        ids, confidence = np.full(len(boxes), -1, np.int64), np.zeros(len(boxes))
        for n, place in enumerate(of_person):
            if place >= 0:
                track = self._tracks[place]
                if hidden[n]:
                    track.glimpse(boxes[n])
                else:
                    track.see(boxes[n], keypoints[n], scores[n], _sure(likeness, n, place), person_scores[n])
                ids[n], confidence[n] = track.id, track.confidence
        self._tracks = [track for track in self._tracks if self._lives(track)]
        for n in np.argsort(-person_scores, kind="stable"):
            if strong[n] and ids[n] < 0 and person_scores[n] >= options.min_person_score and self._room():
                ids[n], confidence[n] = self._next, np.clip(box_scores[n], 0, 1)
                track = Track(self._next, boxes[n], keypoints[n], scores[n], confidence=float(confidence[n]))
                track.evidence = float(person_scores[n])
                self._next += 1
                if self._lives(track):
                    self._tracks.append(track)
        return ids, confidence

    def accept(self, ids: np.ndarray) -> None:
        """Identities int [N] from elsewhere, which are kept as they are."""
        for identity in ids.tolist():
            self.lasting[identity], self.numbers[identity] = True, identity

    def finish(self) -> None:
        """No frame follows: tracks that are too short stay so, but where all frames were fewer than a track needs."""
        for track in self._tracks:
            enough = track.evidence >= self.options.min_person_score * track.persons
            self.lasting.setdefault(track.id, enough and self._frames < self.options.min_track_length)

    def _full(self) -> bool:
        return self.options.max_people is not None and len(self._tracks) >= self.options.max_people

    def _room(self) -> bool:
        """Whether a track can begin; who has been lost for longest is forgotten for it where there are too many."""
        if not self._full():
            return True
        oldest = max(self._tracks, key=lambda track: track.age)
        if oldest.age <= self._patience:
            return False
        self.lasting.setdefault(oldest.id, False)
        self._tracks.remove(oldest)
        return True

    def _lives(self, track: Track) -> bool:
        """Whether a track goes on; says so in `lasting` once it is known whether it gets a place in the results."""
        options = self.options
        if track.id not in self.lasting:
            if track.length >= options.min_track_length:
                self.lasting[track.id] = track.evidence >= options.min_person_score * track.persons
            elif track.age > min(self._patience, options.memory):
                self.lasting[track.id] = False
        return self.lasting.get(track.id, True) and track.age <= options.memory

    def _likeness(self, boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Of persons and tracks, float64 [N, M] in 0..1."""
        if not len(boxes) or not self._tracks:
            return np.zeros((len(boxes), len(self._tracks)))
        age = np.array([track.age for track in self._tracks])
        shift = np.stack([track.shift() for track in self._tracks])
        expected = np.stack([track.box for track in self._tracks])
        expected[:, :2] += shift
        margin = np.minimum(MARGIN + MARGIN_A_FRAME * (age - 1), WIDEST_MARGIN)
        overlap = np.stack(
            [box_iou(enlarged(boxes, m), enlarged(box[None], m))[:, 0] for m, box in zip(margin, expected)], axis=1
        )
        poses = np.stack([track.keypoints for track in self._tracks]) + shift[:, None]
        pose_scores = np.stack([track.scores for track in self._tracks])
        areas = expected[:, 2:].prod(axis=-1)
        alike, weight = pose_likeness(keypoints, scores, poses, pose_scores, areas, self._sigmas)
        weight = POSE_SHARE * weight * np.maximum(1 - (age - 1) / POSE_MEMORY, 0)
        return (1 - weight) * overlap + weight * alike

    def _nearness(self, boxes: np.ndarray) -> np.ndarray:
        """Of persons and tracks, by size and place alone, float64 [N, M] in 0..1; it halves a size away."""
        boxes = np.asarray(boxes).reshape(-1, 1, 4)
        last = np.array([track.box for track in self._tracks]).reshape(1, -1, 4)
        size, last_size = np.sqrt(boxes[..., 2:].prod(-1)), np.sqrt(last[..., 2:].prod(-1))
        ratio = np.minimum(size, last_size) / np.maximum(np.maximum(size, last_size), 1e-9)
        away = np.linalg.norm((boxes - last)[..., :2] + (boxes - last)[..., 2:] / 2, axis=-1)
        return np.where(ratio >= LEAST_RATIO, 1 / (1 + away / np.maximum(last_size, 1e-9)), 0.0)


def best_pairs(likeness: np.ndarray, least: float) -> list[tuple[int, int]]:
    """The pairs (row, column) of at least `least` that have most likeness in all, each row and column once.

    Args:
      likeness: float [N, M].
      least: of a pair.
    """
    if not likeness.size or not (likeness >= least).any():
        return []
    from scipy.optimize import linear_sum_assignment

    # What is too unlike counts nothing, so that it takes no place from a pair that is not.
    worth = np.where(likeness >= least, likeness, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns) if likeness[i, j] >= least]


def _sure(likeness: np.ndarray, person: int, track: int) -> float:
    """How sure a link is: its likeness, times its share beside the next like person or track."""
    own = likeness[person, track]
    rivals = np.concatenate([np.delete(likeness[person], track), np.delete(likeness[:, track], person)])
    return float(own * own / (own + rivals.max())) if len(rivals) and own > 0 else float(own)

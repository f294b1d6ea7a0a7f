"""One track: where a person was last seen, how fast it goes, how sure it is that it is still the same person."""

import dataclasses

import numpy as np

from jmpose_jax.inference.tracking.likeness import SURE_JOINT

VELOCITY_SHARE = 0.5  # of the newest motion in the velocity
DAMPING = 0.9  # of the velocity for each frame unseen: nobody keeps on for long
CONFIDENCE_SHARE = 0.1  # of the newest link in the confidence: about ten frames are remembered


@dataclasses.dataclass(eq=False)
class Track:
    """A person through time.

    Attributes:
      id: its number.
      box: float64 [4], (x, y, width, height), where it was last seen.
      keypoints: float64 [K, 2], its last pose; scores: float [K].
      velocity: float64 [2], pixels a frame.
      age: frames since it was last seen, 0 in the frame where it is seen.
      length: frames from its first to its last person, both counted.
      confidence: 0..1, how sure its identity is.
      persons: how many with a pose were given to it; evidence: sum of their person scores.
    """

    id: int
    box: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    age: int = 0
    length: int = 1
    confidence: float = 1.0
    persons: int = 1
    evidence: float = 0.0

    def shift(self) -> np.ndarray:
        """How far it is expected to have gone since it was last seen, float64 [2]."""
        return self.velocity * sum(DAMPING**step for step in range(self.age))

    def see(self, box: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, sure: float, evidence: float) -> None:
        """Take the person that was found to be this one; `age` counts to this frame.

        Args:
          box, keypoints, scores: of the person.
          sure: 0..1, that it is this one.
          evidence: 0..1, that it is one at all.
        """
        moved = displacement(self.keypoints, self.scores, self.box, keypoints, scores, box) / self.age
        self.velocity = moved if self.length == 1 else self.velocity + VELOCITY_SHARE * (moved - self.velocity)
        self.box, self.keypoints, self.scores = box, keypoints, scores
        self.length += self.age
        self.persons += 1
        self.evidence += evidence
        self.age = 0
        self.confidence += CONFIDENCE_SHARE * (sure - self.confidence)

    def glimpse(self, box: np.ndarray) -> None:
        """Take a box without a pose of its own: the person is there, and its last pose goes with the box."""
        self.keypoints = self.keypoints + (box[:2] + box[2:] / 2) - (self.box[:2] + self.box[2:] / 2)
        self.box, self.velocity = box, self.velocity * DAMPING**self.age
        self.length += self.age
        self.age = 0


def displacement(
    before: np.ndarray, before_scores: np.ndarray, box_before: np.ndarray,
    after: np.ndarray, after_scores: np.ndarray, box_after: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What most of a person's sure joints went, float64 [2]; of the box's centre where fewer than three are sure.

    A box loses a side where its person is half hidden, and its centre goes with it; joints do not.
    """
    sure = (before_scores >= SURE_JOINT) & (after_scores >= SURE_JOINT)
    if sure.sum() >= 3:
        return np.median(after[sure] - before[sure], axis=0)
    return (box_after[:2] + box_after[2:] / 2) - (box_before[:2] + box_before[2:] / 2)

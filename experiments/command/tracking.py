"""The flags of `jmpose predict` that say who gets a track, and a track a place in the results."""

import dataclasses
import math

from absl import flags

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detector, WholeFrame
from jmpose_jax.inference.movenet import MIN_BOX_SCORE, MIN_PERSON_SCORE
from jmpose_jax.inference.tracking.tracker import TrackingOptions

MIN_TRACK_LENGTH = 5  # of what a detector finds; boxes from a file are all wanted


@dataclasses.dataclass(frozen=True)
class TrackingFlags:
    """The flags; None where one is not given."""

    max_people: flags.FlagHolder[int | None]
    min_box_score: flags.FlagHolder[float | None]
    min_track_length: flags.FlagHolder[int | None]

    def check(self) -> None:
        """Raises InputError for a score that is none."""
        score = self.min_box_score.value
        if score is not None and not math.isfinite(score):
            raise InputError(f"--min_box_score={score} is no number; give one, mostly from 0 to 1")

    def options(self, detector: Detector | None, movenet_poses: bool) -> TrackingOptions:
        """The rules of tracking.

        Args:
          detector: where boxes come from; None is MoveNet's.
          movenet_poses: whether MoveNet estimates the poses, too: of its joints' scores it is known how low those of
            things are that it takes for people.

        Raises:
          InputError: a flag is given, and the boxes' identities are their own.
        """
        all_flags = (self.max_people, self.min_box_score, self.min_track_length)
        given = {flag.name: flag.value for flag in all_flags if flag.value is not None}
        own = isinstance(detector, WholeFrame) or (isinstance(detector, BoxTable) and detector.tracked)
        if own and given:
            name, value = next(iter(given.items()))
            boxes = "--detector=whole gives" if isinstance(detector, WholeFrame) else "the file of --boxes gives"
            raise InputError(f"--{name}={value} is of tracking, and {boxes} the identities already; leave it out")
        length = 1 if isinstance(detector, BoxTable) else MIN_TRACK_LENGTH
        options = {"min_track_length": length} | given
        if detector is None:
            least = options.setdefault("min_box_score", MIN_BOX_SCORE)
            if movenet_poses:  # who asks for weaker boxes wants weaker poses, too
                options["min_person_score"] = MIN_PERSON_SCORE * min(max(least / MIN_BOX_SCORE, 0.0), 1.0)
        return TrackingOptions(**options)


def define_tracking() -> TrackingFlags:
    """Define `--max_people`, `--min_box_score` and `--min_track_length`."""
    return TrackingFlags(
        flags.DEFINE_integer(
            "max_people",
            None,
            "Most people in a frame. Who comes back near where somebody was lost is then taken for that person.",
            lower_bound=1,
        ),
        flags.DEFINE_float(
            "min_box_score",
            None,
            f"Least score of a box that begins a track; down to a third of it, boxes go on with one. MoveNet's: "
            f"{MIN_BOX_SCORE}; any of the others.",
        ),
        flags.DEFINE_integer(
            "min_track_length",
            None,
            "Frames from a track's first to its last person; shorter tracks are left out. "
            f"{MIN_TRACK_LENGTH} for a detector (fewer where the video has fewer frames), 1 for --boxes.",
            lower_bound=1,
        ),
    )

"""The flags that say how poses are refined, alike for `refine` and `predict --refine`."""

import dataclasses
import pathlib
from collections.abc import Callable

from absl import flags

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.predictions import tracks_of, with_tracks
from jmpose_jax.records import Predictions
from jmpose_jax.refinement.filters import METHODS, Gaussian, OneEuro, SavitzkyGolay, make_filter
from jmpose_jax.refinement.sequence import Options, Refiner
from jmpose_jax.refinement.tracks import TrackReport, refine_tracks, total

PARAMETERS = {
    "min_cutoff": "one_euro: hertz passed of what stands still; lower is steadier, and lags more. "
    f"Default: {OneEuro.min_cutoff:g}.",
    "beta": f"one_euro: hertz added for one body size a second; higher lags less. Default: {OneEuro.beta:g}.",
    "sigma": f"gaussian: standard deviation, in frames. Default: those of {Gaussian.SECONDS} s.",
    "window": f"savgol: frames, odd. Default: those of {SavitzkyGolay.SECONDS} s.",
    "order": f"savgol: of the polynomial. Default: {SavitzkyGolay.order}.",
}
WHOLE = ("window", "order")


@dataclasses.dataclass(frozen=True)
class Refining:
    """What the flags say, checked.

    Attributes:
      name: of the method.
      refiner: the method.
      options: for gaps and moves.
    """

    name: str
    refiner: Refiner
    options: Options


def define_refining() -> Callable[[str], Refining]:
    """Define the flags, but for the method's own.

    Returns:
      A function that, once they are parsed, gives what they say for a method of `METHODS`; it raises InputError, which
      names the flag at fault.
    """
    max_gap = flags.DEFINE_integer(
        "max_gap", Options.max_gap, "Longest gap, in frames, that is filled by straight lines; 0 fills none."
    )
    max_move = flags.DEFINE_float(
        "max_move", None, "Farthest that a joint is moved, in the unit of its coordinates; no bound by default."
    )
    min_score = flags.DEFINE_float(
        "min_score", 0.0, "Joints of a smaller score are taken for missing; those that cannot be filled stay."
    )
    reject = flags.DEFINE_float(
        "reject",
        None,
        "Joints that jump away from the frames around by more than so many standard deviations (3 is usual) are taken "
        "for missing; those that cannot be filled stay. None are by default.",
    )
    values = {
        name: (flags.DEFINE_integer if name in WHOLE else flags.DEFINE_float)(name, None, said)
        for name, said in PARAMETERS.items()
    }

    def read(method: str) -> Refining:
        try:
            options = Options(max_gap.value, max_move.value, min_score.value, reject.value)
            refiner = make_filter(method, **{name: flag.value for name, flag in values.items()})
        except InputError as fault:
            raise InputError(f"--{fault}") from None
        return Refining(method, refiner, options)

    return read


def check_refine(given: str) -> None:
    """Raises InputError where `predict --refine` names neither a method nor a place where a network could be."""
    if given not in METHODS and not pathlib.Path(given).exists():
        raise InputError(
            f"--refine={given}: neither one of {', '.join(METHODS)} nor a folder; give the workdir of a training of "
            "hanet, deciwatch or smoothnet"
        )


def refiner_of(given: str, joints: int, estimate_every: int = 1) -> tuple[str, Refiner]:
    """Name and method of `predict --refine`.

    Args:
      given: of `METHODS`, with its defaults, or the workdir of a network of sequences.
      joints: of the poses, in pictures.
      estimate_every: the frames that are estimated.

    Raises:
      InputError: the network is of other poses, or looks at frames that are not estimated.
    """
    if given in METHODS:
        return given, make_filter(given)
    from jmpose_jax.refinement.network import from_checkpoint  # with Orbax

    try:
        network = from_checkpoint(given, joints, 2)
    except InputError as fault:
        raise InputError(f"--refine={fault}") from None
    if network.interval > 1 and network.interval % estimate_every:
        raise InputError(
            f"--estimate_every={estimate_every}: the {network.name} of --refine={given} looks at every "
            f"{network.interval}th frame, and these would not all be estimated; give {network.interval} or a divisor"
        )
    return network.name, network


class RefinedVideo:
    """What `predict --refine` hands to the pipeline, and keeps of what it did.

    Attributes:
      remark: what was done, as a part of the last line.
    """

    def __init__(self, name: str, refiner: Refiner):
        """Take the method, as `refiner_of` gives it."""
        self._name, self._refiner, self.remark = name, refiner, ""

    def __call__(self, predictions: Predictions, fps: float) -> Predictions:
        """The poses of a video, refined."""
        tracks, reports = refine_tracks(tracks_of(predictions), fps, self._refiner)
        self.remark = f", refined by {self._name}{said(total(reports))}"
        return with_tracks(predictions, tracks)


def said(report: TrackReport) -> str:
    """What was done to tracks, as parts of a last line."""
    text = "; no joint is there in three frames in a row: no jitter to measure"
    if report.accelerations:
        change = report.jitter_after / report.jitter_before - 1 if report.jitter_before else 0.0
        text = f"; jitter {report.jitter_before:.3g} → {report.jitter_after:.3g} per frame² ({100 * change:+.0f} %)"
    if report.moved_joints:
        text += f"; joints moved by {report.mean_move:.3g} on average, {report.largest_move:.3g} at most"
    if report.rejected_joints:
        text += f"; {report.rejected_joints} outliers rejected"
    if report.filled_joints:
        text += f"; {report.filled_joints} joints filled, {report.added_frames} poses added"
    if report.missing_joints:
        text += f"; {report.missing_joints} joints are still missing"
    if report.held_joints:
        text += f"; {report.held_joints} moves held to --max_move"
    return text

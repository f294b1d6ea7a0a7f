"""Errors of poses before and after refining, by a file of the true ones: the same joints and frames on both sides."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.pose_files.records import PoseFile, Track
from jmpose_jax.refinement.curves import pairs

BY_IMAGE = ("annotations", "results")  # forms whose frames are ids of images


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true poses of a file's tracks.

    Attributes:
      tracks: (n, the true track of the file's track n), on the file's grid of frames; frames off it are left out.
      joints: int [J] of the file, of_truth: int [J], the same joints of the truth.
    """

    tracks: tuple[tuple[int, Track], ...]
    joints: np.ndarray
    of_truth: np.ndarray


def match_truth(file: PoseFile, true: PoseFile) -> Truth:
    """Find the truth of each track: identities by name (or the only ones), joints by name, frames by number or image.

    Args:
      file: estimated poses.
      true: the true ones; frames of either that the other has not are left out.

    Raises:
      InputError: the two share no identity, joint or frame, or the frames of one are images that the other cannot name.
    """
    where = f"--truth={true.path}"
    if file.dimensions != true.dimensions:
        raise InputError(
            f"{where}: has {true.dimensions} dimensions, {file.path} {file.dimensions}; give matching files"
        )
    for one, other in ((file, true), (true, file)):
        if one.ids is not None and other.form not in BY_IMAGE:
            raise InputError(
                f"{where}: the image ids of {one.path} are no numbers of frames, and {other.path} has no ids of "
                "images; give both as JSON, or number the images evenly from below 10,000,000"
            )
    joints, of_truth = pairs(file, true)
    by_name = {track.name: track for track in true.tracks}
    matched = [(n, by_name[track.name]) for n, track in enumerate(file.tracks) if track.name in by_name]
    if len(file.tracks) == len(true.tracks) == 1:
        matched = [(0, true.tracks[0])]
    placed = [(n, _on_grid(file, true, track)) for n, track in matched]
    common = any(np.isin(file.tracks[n].frames, track.frames).any() for n, track in placed)
    lacking = "identity" if not matched else "joint" if not len(joints) else "" if common else "frame of an identity"
    if lacking:
        raise InputError(f"{where}: has no {lacking} of {file.path}; give the truth of these poses")
    return Truth(tuple(placed), joints, of_truth)


def truth_errors(before: Sequence[Track], after: Sequence[Track], truth: Truth) -> dict[str, dict[str, float | int]]:
    """Mean distances to the truth, and of second differences, over all joints of all common frames.

    Args:
      before: the tracks of the file.
      after: the same, refined: each with all frames of the other, and maybe more.
      truth: of `match_truth`.

    Returns:
      {"before", "after"}: each {"error", "acceleration_error"} in the unit of the poses, over the joints that the file
      has, the same on both sides; {"filled"}: {"error", "joints"} of those that were filled; {"compared"}: {"joints",
      "frames", "poses"}: how many joints, in how many of how many poses. A mean of nothing is NaN.
    """
    sums: dict[str, list[np.ndarray]] = {name: [] for name in ("before", "after", "filled", "acc_before", "acc_after")}
    frames = 0
    for n, true in truth.tracks:
        old, new = before[n], after[n]
        place = np.searchsorted(new.frames, old.frames)
        rows = np.flatnonzero(np.isin(new.frames, true.frames))
        points = true.poses[np.searchsorted(true.frames, new.frames[rows])][:, truth.of_truth]
        estimate = np.full(new.poses.shape, np.nan)
        estimate[place] = old.poses
        sides = [version[rows][:, truth.joints] - points for version in (estimate, new.poses)]
        was = np.isfinite(sides[0]).all(axis=-1)
        known = was & np.isfinite(sides[1]).all(axis=-1)
        frames += int(known.any(axis=1).sum())
        lengths = [np.linalg.norm(move, axis=-1) for move in sides]
        sums["before"].append(lengths[0][known])
        sums["after"].append(lengths[1][known])
        sums["filled"].append(lengths[1][~was & np.isfinite(lengths[1])])
        at = new.frames[rows]
        row = np.flatnonzero((np.diff(at)[:-1] == 1) & (np.diff(at)[1:] == 1)) + 1 if len(at) > 2 else np.zeros(0, int)
        three = known[row - 1] & known[row] & known[row + 1]
        for name, move in zip(("acc_before", "acc_after"), sides):
            bend = np.linalg.norm(move[row - 1] - 2 * move[row] + move[row + 1], axis=-1)
            sums[name].append(bend[three])
    means = {name: _mean(np.concatenate(values)) for name, values in sums.items()}
    return {
        "before": {"error": means["before"], "acceleration_error": means["acc_before"]},
        "after": {"error": means["after"], "acceleration_error": means["acc_after"]},
        "filled": {"error": means["filled"], "joints": sum(map(len, sums["filled"]))},
        "compared": {
            "joints": sum(map(len, sums["before"])), "frames": frames, "poses": sum(len(t.frames) for t in before),
        },
    }  # fmt: skip


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _on_grid(file: PoseFile, true: PoseFile, track: Track) -> Track:
    """A true track in the frames of the file's grid; what lies between them is left out."""
    numbers = true.numbers(track.frames)
    if file.ids is None:
        frames, rest = np.divmod(numbers - file.first, file.step)
        there = rest == 0
    else:
        frames = np.minimum(np.searchsorted(file.ids, numbers), len(file.ids) - 1)
        there = file.ids[frames] == numbers
    return Track(track.name, frames[there], track.poses[there], track.scores[there], track.entries[there])

"""The tracks of a video refined, each by itself, and what was done counted."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from jmpose_jax.pose_files.records import ADDED, Track
from jmpose_jax.refinement.jitter import accelerations
from jmpose_jax.refinement.sequence import DEFAULTS, Options, Refiner, refine_sequence


@dataclasses.dataclass(frozen=True)
class TrackReport:
    """What was done to one track. Lengths are in the unit of its file.

    Attributes:
      name: of the track.
      frames: in which the file has the person.
      filled_joints: joints of gaps that were filled, those of added frames included.
      added_frames: frames in which the person was not, and now is.
      missing_joints: joints of the person's frames that are still missing.
      held_joints: joints that `max_move` held back.
      rejected_joints: outliers, filled or left where they were.
      jitter_before, jitter_after: mean acceleration of the joints that the file has, per frame²; NaN where no joint has
        three frames in a row.
      accelerations: how many make that mean.
      mean_move, largest_move: how far the joints that the file has were moved; NaN where there is none.
      moved_joints: how many make that mean.
    """

    name: str
    frames: int
    filled_joints: int
    added_frames: int
    missing_joints: int
    held_joints: int
    rejected_joints: int
    jitter_before: float
    jitter_after: float
    accelerations: int
    mean_move: float
    largest_move: float
    moved_joints: int


def refine_track(
    track: Track, fps: float | None, refiner: Refiner, options: Options = DEFAULTS
) -> tuple[Track, TrackReport]:
    """Refine a track.

    Where the person is away for longer than `options.max_gap` frames, the track is refined in parts that know nothing
    of each other. A joint that was filled gets the lesser of the scores that it lies between; one that was left out for
    its score, or as an outlier, and not filled is where it was.

    Args:
      track: of a file; frames of one part are filled between, so that the refined one may have more of them.
      fps, refiner, options: as for `refine_sequence`.
    """
    if not len(track.frames):
        return track, _report(track, track, [], [], 0, 0, 0)
    cuts = np.flatnonzero(np.diff(track.frames) > options.max_gap + 1) + 1
    parts, before, after, filled, held, rejected = [], [], [], 0, 0, 0
    for rows in np.split(np.arange(len(track.frames)), cuts):
        places = track.frames[rows] - track.frames[rows[0]]
        length = int(places[-1]) + 1
        poses = np.full((length, *track.poses.shape[1:]), np.nan)
        scores = np.full(poses.shape[:2], np.nan)
        entries = np.full(length, ADDED, np.int64)
        poses[places], scores[places], entries[places] = track.poses[rows], track.scores[rows], track.entries[rows]
        weak = np.where(scores[..., None] < options.min_score, poses, np.nan)
        poses[scores < options.min_score] = np.nan
        valid = np.isfinite(poses).all(axis=-1)
        refined = refine_sequence(poses, valid, fps, refiner, options)
        weak = np.where(refined.rejected[..., None], poses, weak)
        scores = _filled_scores(scores, valid & ~refined.rejected, refined.filled)
        kept = (entries != ADDED) | refined.filled.any(axis=1)
        frames = track.frames[rows[0]] + np.arange(length)
        points = np.where(np.isnan(refined.poses), weak, refined.poses)
        parts.append(Track(track.name, frames[kept], points[kept], scores[kept], entries[kept]))
        before.append((accelerations(poses, valid), accelerations(points, valid)))
        after.append(np.linalg.norm(points - poses, axis=-1)[valid])
        filled += int(refined.filled.sum())
        held += int(refined.held.sum())
        rejected += int(refined.rejected.sum())
    joined = Track(
        track.name,
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("frames", "poses", "scores", "entries")),
    )
    return joined, _report(track, joined, before, after, filled, held, rejected)


def refine_tracks(
    tracks: Iterable[Track], fps: float | None, refiner: Refiner, options: Options = DEFAULTS
) -> tuple[tuple[Track, ...], tuple[TrackReport, ...]]:
    """`refine_track` of each."""
    found = [refine_track(track, fps, refiner, options) for track in tracks]
    return tuple(track for track, _ in found), tuple(report for _, report in found)


def total(reports: Iterable[TrackReport]) -> TrackReport:
    """The reports of several tracks as one: counts add up, means are of all joints."""
    reports = list(reports)
    summed = ("frames", "filled_joints", "added_frames", "missing_joints", "held_joints", "rejected_joints")
    weights = ("accelerations", "moved_joints")
    counts = {name: sum(getattr(report, name) for report in reports) for name in (*summed, *weights)}

    def mean(value: str, weight: str) -> float:
        some = [report for report in reports if getattr(report, weight)]
        weighted = sum(getattr(report, value) * getattr(report, weight) for report in some)
        return weighted / counts[weight] if some else float("nan")

    moves = [report.largest_move for report in reports if report.moved_joints]
    return TrackReport(
        name="all",
        **counts,
        jitter_before=mean("jitter_before", "accelerations"),
        jitter_after=mean("jitter_after", "accelerations"),
        mean_move=mean("mean_move", "moved_joints"),
        largest_move=max(moves, default=float("nan")),
    )


def _filled_scores(scores: np.ndarray, valid: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Scores [T, K] with those of filled joints."""
    scores = scores.copy()
    for joint in np.flatnonzero(filled.any(axis=0)):
        known, gaps = np.flatnonzero(valid[:, joint]), np.flatnonzero(filled[:, joint])
        behind = np.searchsorted(known, gaps)
        scores[gaps, joint] = np.minimum(scores[known[behind - 1], joint], scores[known[behind], joint])
    return scores


def _report(
    track: Track,
    refined: Track,
    jitters: list[tuple[np.ndarray, np.ndarray]],
    moves: list[np.ndarray],
    filled: int,
    held: int,
    rejected: int,
) -> TrackReport:
    before, after = (np.concatenate([pair[side].ravel() for pair in jitters] or [np.zeros(0)]) for side in (0, 1))
    known = np.isfinite(before)
    moved = np.concatenate(moves or [np.zeros(0)])

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if len(values) else float("nan")

    return TrackReport(
        name=track.name,
        frames=len(track.frames),
        filled_joints=filled,
        added_frames=int((refined.entries == ADDED).sum()),
        missing_joints=int((~refined.valid).sum()),
        held_joints=held,
        rejected_joints=rejected,
        jitter_before=mean(before[known]),
        jitter_after=mean(after[known]),
        accelerations=int(known.sum()),
        mean_move=mean(moved),
        largest_move=float(moved.max()) if len(moved) else float("nan"),
        moved_joints=len(moved),
    )

"""Tracking of several people: the greedy tracker of before and the present one, on rendered videos with exact truth.

python -m benchmarks.tracking --output benchmarks/results/tracking.json --page docs/benchmarks.md

Two to four people a video. What is tracked is what an imagined detector and pose model find (noise, gaps, hidden people
with another's pose, clutter) or, with --movenet, what MoveNet finds in the pictures. A person is found where a box has
an overlap of half with hers; people who are not annotated count neither way. MOTA, switches and IDF1 are of whole
persons; PoseTrack's MOTA is of joints, by the rules of the official evaluator. With py-motmetrics installed (extra
`oracle`) its figures stand beside ours and must be the same. Two more rows leave one part of the tracker out.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.greedy_tracker import Tracks, update_tracks
from benchmarks.measure import machine, publish
from benchmarks.tracked_people import SCORED, Seen, Truth, imagined, keep, seen_by_movenet, settings, truth, videos
from data_pipeline.synthetic.annotations import video_annotations, video_name
from jmpose_jax.inference.distinct import distinct_poses
from jmpose_jax.inference.movenet import MIN_BOX_SCORE, MIN_PERSON_SCORE
from jmpose_jax.inference.outputs.posetrack18 import write_posetrack18
from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.inference.tracking.short_tracks import lasting_people
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions
from jmpose_jax.inference.tracking.weak_boxes import WeakBoxes
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.identities import IdentityCounts, IdentityScore
from jmpose_jax.metrics.keypoints import POSETRACK15_SIGMAS
from jmpose_jax.records import Predictions

SAME = 0.5  # overlap from which a box is the person's
OPTIONS = TrackingOptions(min_box_score=MIN_BOX_SCORE, min_person_score=MIN_PERSON_SCORE, min_track_length=5)


@dataclasses.dataclass(frozen=True)
class Tracked:
    """The persons of a frame, their identities int64 [N] and how sure these are, float [N]."""

    seen: Seen
    track_ids: np.ndarray
    track_scores: np.ndarray

    def select(self, rows: np.ndarray, track_ids: np.ndarray) -> "Tracked":
        return Tracked(keep(self.seen, rows), track_ids, self.track_scores[rows])


def greedy(frames: Sequence[Seen]) -> list[Tracked]:
    """As `predict` tracked before: boxes of MoveNet's threshold, everybody has a place."""
    tracks, found = Tracks.empty(), []
    for seen in frames:
        seen = keep(seen, seen.box_scores >= MIN_BOX_SCORE)
        tracks, ids = update_tracks(tracks, seen.boxes, seen.keypoints)
        found.append(Tracked(seen, ids, np.ones(len(ids))))
    return found


def present(
    frames: Sequence[Seen],
    options: TrackingOptions = OPTIONS,
    distinct: bool = True,
    tracker: Tracker | None = None,
) -> list[Tracked]:
    """As `predict` tracks now."""
    tracker, weak_boxes = tracker or Tracker(options), WeakBoxes(options)

    def tracked():
        for seen in frames:
            seen = keep(seen, weak_boxes.worthy(seen.boxes, seen.box_scores))
            found = seen.boxes, seen.box_scores, seen.keypoints, seen.scores
            doubles = np.zeros(len(seen.boxes), bool)
            if distinct:
                doubles[:] = True
                doubles[distinct_poses(*found, POSETRACK15_SIGMAS)] = False
            ids, sure = tracker.update(*found, doubles)
            rows = (ids >= 0) & ~doubles
            yield Tracked(seen, ids, sure).select(rows, ids[rows])

    return list(lasting_people(tracked(), tracker))


TRACKERS: dict[str, Callable[[Sequence[Seen]], list[Tracked]]] = {
    "greedy, as before": greedy,
    "present": present,
    "present, without OKS-NMS": lambda frames: present(frames, distinct=False),
    "present, without weak boxes": lambda frames: present(frames, dataclasses.replace(OPTIONS, weak_share=1.0)),
}


def score(truths: Sequence[Truth], tracked: Sequence[Tracked]) -> tuple[IdentityCounts, Any]:
    """Counts of one video, and py-motmetrics' accumulator of it where that is installed."""
    try:
        import motmetrics

        accumulator = motmetrics.MOTAccumulator(auto_id=True)
    except ImportError:
        accumulator = None
    ours = IdentityScore()
    for true, found in zip(truths, tracked, strict=True):
        overlap = box_iou(true.boxes, found.seen.boxes)
        stranger = box_iou(true.ignored, found.seen.boxes).max(axis=0, initial=0) >= SAME
        counted = ~stranger | (overlap.max(axis=0, initial=0) >= SAME)
        distance = np.where(overlap >= SAME, 1 - overlap, np.nan)[:, counted]
        ours.add(true.ids, found.track_ids[counted], distance)
        if accumulator is not None:
            accumulator.update(true.ids.tolist(), found.track_ids[counted].tolist(), distance)
    return ours.counts(), accumulator


def by_motmetrics(accumulators: Sequence[Any]) -> dict[str, float] | None:
    """MOTA, IDF1 (percent) and switches over all videos; None where py-motmetrics is not installed."""
    if any(accumulator is None for accumulator in accumulators):
        return None
    import motmetrics

    table = motmetrics.metrics.create().compute_many(
        list(accumulators), metrics=["mota", "idf1", "num_switches"], generate_overall=True
    )
    overall = table.loc["OVERALL"]
    return {
        "mota": 100 * float(overall["mota"]),
        "idf1": 100 * float(overall["idf1"]),
        "switches": int(overall["num_switches"]),
    }


def write_video(folder: pathlib.Path, name: str, content: dict[str, Any], tracked: Sequence[Tracked]) -> None:
    """The truth and the poses of a video as PoseTrack18 files in `folder`/truth and `folder`/found."""
    (folder / "truth").mkdir(exist_ok=True)
    (folder / "found").mkdir(exist_ok=True)
    (folder / "truth" / f"{name}.json").write_text(json.dumps(content))
    ids = [image["id"] for image in content["images"]]
    counts = [len(frame.track_ids) for frame in tracked]
    predictions = Predictions(
        video=name,
        images=tuple({"id": image["id"], "file_name": image["file_name"]} for image in content["images"]),
        image_id=np.repeat(np.array(ids, np.int64), counts),
        keypoints=np.concatenate([frame.seen.keypoints for frame in tracked]),
        scores=np.concatenate([frame.seen.scores for frame in tracked]),
        boxes=np.concatenate([frame.seen.boxes for frame in tracked]),
        track_id=np.concatenate([frame.track_ids for frame in tracked]),
    )
    write_posetrack18(predictions, folder / "found" / f"{name}.json")


def measure(count: int, frames: int, seed: int, movenet: bool) -> dict[str, Any]:
    """All trackers on the same persons."""
    see = seen_by_movenet() if movenet else None
    counts = dict.fromkeys(TRACKERS, IdentityCounts())
    accumulators: dict[str, list[Any]] = {name: [] for name in TRACKERS}
    seconds = dict.fromkeys(TRACKERS, 0.0)
    with tempfile.TemporaryDirectory() as place:
        folders = {name: pathlib.Path(place) / str(n) for n, name in enumerate(TRACKERS)}
        for folder in folders.values():
            folder.mkdir()
        for number, video in videos(count, frames, seed):
            truths = truth(video)
            seen = see(video) if see else imagined(video, np.random.default_rng([seed, number]))
            content = video_annotations(video, SCORED, number, settings(frames))
            for name, track in TRACKERS.items():
                start = time.perf_counter()
                tracked = track(seen)
                seconds[name] += time.perf_counter() - start
                of_video, accumulator = score(truths, tracked)
                counts[name] += of_video
                accumulators[name].append(accumulator)
                write_video(folders[name], video_name(SCORED, number), content, tracked)
        joints = {
            name: posetrack.evaluate(folder / "truth", folder / "found").mota["Total"]
            for name, folder in folders.items()
        }
    rows = {}
    for name in TRACKERS:
        rows[name] = {
            "mota": counts[name].mota(),
            "idf1": counts[name].idf1(),
            **dataclasses.asdict(counts[name]),
            "posetrack_mota": joints[name],
            "milliseconds_a_frame": 1e3 * seconds[name] / (count * frames),
            "motmetrics": by_motmetrics(accumulators[name]),
        }
        theirs = rows[name]["motmetrics"]
        if theirs and any(abs(theirs[key] - rows[name][key]) > 1e-6 for key in theirs):
            raise AssertionError(f"{name}: py-motmetrics says {theirs}, ours {rows[name]}")
    return {"videos": count, "frames": frames, "seed": seed, "of": "MoveNet" if movenet else "imagined", "rows": rows}


def table(parts: Sequence[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| persons of | tracker | MOTA | IDF1 | switches | missed | false | of | PoseTrack MOTA | ms a frame |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for part in parts:
        source = f"{part['of']}, {part['videos']} × {part['frames']} frames"
        for name, row in part["rows"].items():
            missed, false = row["objects"] - row["matches"], row["predictions"] - row["matches"]
            lines.append(
                f"| {source} | {name} | {row['mota']:.1f} | {row['idf1']:.1f} | {row['switches']} | {missed} | {false} "
                f"| {row['objects']} | {row['posetrack_mota']:.1f} | {row['milliseconds_a_frame']:.1f} |"
            )
    checked = all(row["motmetrics"] for part in parts for row in part["rows"].values())
    lines += ["", "py-motmetrics: " + ("MOTA, IDF1 and switches are the same." if checked else "not installed.")]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--movenet", type=int, default=0, help="also so many videos by MoveNet (slow)")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    parts = [measure(arguments.videos, arguments.frames, arguments.seed, False)]
    if arguments.movenet:
        parts.append(measure(arguments.movenet, arguments.frames, arguments.seed, True))
    result = {"machine": machine("motmetrics"), "parts": parts}
    publish("tracking", result, table(parts), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

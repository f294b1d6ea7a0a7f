"""Time, and what is lost, where poses are estimated on every n-th frame alone and lie on straight lines between.

python -m benchmarks.estimate_every bedroom.mp4 squats.mp4 \\
  --output benchmarks/results/estimate_every.json --page docs/predict.md

The poses of all frames are the reference: each person of a frame between is compared with the nearest one there, over
the joints of a score of at least 0.3 there. The time is that of decoding, detector, model and identities; programs are
compiled before. `cpu` is what all threads together took, which others on the machine change less.
"""

import argparse
import os
import pathlib
import time
from typing import Any

import numpy as np

from benchmarks.measure import machine, publish
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.movenet import DETECTOR, MIN_BOX_SCORE, MIN_PERSON_SCORE, MoveNetDetector, pose_predictor
from jmpose_jax.inference.movenet import weights as movenet_weights
from jmpose_jax.inference.outputs.collector import Collector
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.streamed import estimate_poses
from jmpose_jax.inference.tracking.tracker import TrackingOptions, best_pairs
from jmpose_jax.inference.video.reader import VideoReader
from jmpose_jax.pose_files.predictions import tracks_of, with_tracks
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.tracks import refine_tracks

EVERY, MIN_SCORE = (1, 5, 10), 0.3
FAR = 1.0  # of a person's size: a pose that is farther off on average is of somebody else


def compare(found: list[FramePoses], reference: list[FramePoses]) -> dict[str, Any]:
    """Distances of the poses of frames between from those of the reference.

    Args:
      found: every frame of a video, some of them estimated.
      reference: the same frames, all estimated.

    Returns:
      `persons`, how many the reference has in the frames between; `met`, how many of them have a pose; `pixels` and
      `percent`, the mean distance of these poses' joints, and its share of the person's size.
    """
    persons, pixels, shares = 0, [], []
    for poses, true in zip(found, reference):
        if poses.estimated:
            continue
        persons += len(true.boxes)
        sure = true.scores >= MIN_SCORE
        apart = np.linalg.norm(poses.keypoints[None] - true.keypoints[:, None], axis=-1)  # [true, found, K]
        count = sure.sum(axis=1)
        mean = (apart * sure[:, None]).sum(axis=-1) / np.maximum(count, 1)[:, None]
        size = np.array([body_size(p[None], s[None]) for p, s in zip(true.keypoints, sure)])
        if not len(size):
            continue
        likeness = np.where((count > 1)[:, None], 1 - mean / size[:, None] / FAR, -1.0)
        for row, column in best_pairs(likeness, 0.0):
            pixels.append(mean[row, column])
            shares.append(mean[row, column] / size[row])
    if not pixels:
        return {"persons": persons, "met": 0, "pixels": None, "percent": None}
    means = {"pixels": float(np.mean(pixels)), "percent": 100 * float(np.mean(shares))}
    return {"persons": persons, "met": len(pixels), **means}


def refined(found: list[FramePoses], predictor: Predictor, fps: float) -> list[FramePoses]:
    """The frames with the poses of the default filter; the boxes stay."""
    collector = Collector(predictor.skeleton)
    for poses in found:
        collector.add(poses, poses.index / fps)
    record = collector.predictions("v", [{"id": i, "file_name": str(i)} for i in range(len(found))])
    record = with_tracks(record, refine_tracks(tracks_of(record), fps, Gaussian())[0])
    result = []
    for poses in found:
        rows = np.flatnonzero(record.frame == poses.index)
        names = {"keypoints": "keypoints", "scores": "scores", "boxes": "boxes", "track_ids": "track_id"}
        columns = {name: getattr(record, of)[rows] for name, of in names.items()}
        columns |= {"box_scores": record.box_scores[rows], "track_scores": record.track_score[rows]}
        result.append(FramePoses(poses.index, poses.image, **columns, estimated=poses.estimated))
    return result


def measure(video: pathlib.Path, model: str, rounds: int) -> dict[str, Any]:
    """Of one video, by n."""
    found = movenet_weights([f"movenet_{model}", DETECTOR], print)
    predictor = pose_predictor(model, found[f"movenet_{model}"])
    tracking = TrackingOptions(min_box_score=MIN_BOX_SCORE, min_person_score=MIN_PERSON_SCORE, min_track_length=5)
    detector = MoveNetDetector(found[DETECTOR], threshold=tracking.weakest)
    reader = VideoReader(video)

    def poses(every: int, most: int | None = None) -> list[FramePoses]:
        frames = (image for image, _ in zip(reader, range(most or 1 << 30)))
        return list(estimate_poses(frames, predictor, detector, tracking=tracking, estimate_every=every))

    poses(1, 8)  # compiles
    result: dict[str, Any] = {"fps": round(reader.fps, 3), "rows": {}}
    reference: list[FramePoses] = []
    for every in EVERY:
        seconds, cpu = [], []
        for _ in range(rounds):
            before, wall = os.times(), time.perf_counter()
            now = poses(every)
            after = os.times()
            seconds.append(time.perf_counter() - wall)
            cpu.append(after.user - before.user + after.system - before.system)
        reference = reference or now
        result["frames"] = len(now)
        result["rows"][str(every)] = {
            "estimated": sum(frame.estimated for frame in now),
            "tracks": len({identity for frame in now for identity in frame.track_ids.tolist()}),
            "seconds": min(seconds),
            "cpu": min(cpu),
            "straight": compare(now, reference),
            "gaussian": compare(refined(now, predictor, reader.fps), reference),
        }
    return result


def table(result: dict[str, Any]) -> str:
    """The Markdown table of the page."""
    rows = [
        "| clip | N | frames estimated | time, CPU s | people with a pose between | off, pixels | of their size | "
        "tracks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for clip, found in result["clips"].items():
        for every, row in found["rows"].items():
            between = row["straight"]
            none = between["pixels"] is None
            off = ("–", "–", "–") if none else (
                f"{between['met']} of {between['persons']}", f"{between['pixels']:.1f}", f"{between['percent']:.1f} %"
            )  # fmt: skip
            rows.append(
                f"| {clip}, {found['fps']:g} fps | {every} | {row['estimated']} of {found['frames']} | "
                f"{row['cpu']:.1f} | {' | '.join(off)} | {row['tracks']} |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=pathlib.Path)
    parser.add_argument("--model", default="thunder")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    clips = {video.stem: measure(video, arguments.model, arguments.rounds) for video in arguments.videos}
    result = {"machine": machine("numpy"), "model": arguments.model, "clips": clips}
    publish("estimate_every", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

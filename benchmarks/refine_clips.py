"""Jitter before and after on real clips, and how far joints are moved where nothing moves.

python -m benchmarks.refine_clips my_poses/poses.json … \\
  --output benchmarks/results/refine_clips.json --page docs/refine.md

The files are those that `jmpose predict` leaves; poses.csv beside each gives the frame rate. Joints of a score below
0.3 are left out. A joint stands still in a frame where all its places within 0.4 s (at least two frames) on either
side lie within 2 % of the person's size of their middle. There nothing but jitter moves it, and a method is at fault
where it moves the joint out of the circle of these places: farther from their middle than the farthest of them.
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from benchmarks.measure import machine, publish
from jmpose_jax.pose_files.reader import read_poses
from jmpose_jax.pose_files.records import Track
from jmpose_jax.refinement.coordinates import body_size
from jmpose_jax.refinement.filters import METHODS
from jmpose_jax.refinement.jitter import accelerations
from jmpose_jax.refinement.sequence import Options, refine_sequence

MIN_SCORE, STILL, HALF = 0.3, 0.02, 0.4  # score; share of a person's size; seconds


def parts(track: Track) -> list[np.ndarray]:
    """The poses [T, K, 2] of a track in parts without absent frames, weak joints as NaN."""
    poses = np.where((track.scores < MIN_SCORE)[..., None], np.nan, track.poses)
    return np.split(poses, np.flatnonzero(np.diff(track.frames) > 1) + 1)


def still(poses: np.ndarray, half: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where joints stand still: bool [T, K], the middle [T, K, 2] of their places around, and the farthest, [T, K]."""
    size = body_size(poses, np.isfinite(poses).all(axis=-1))
    padded = np.pad(poses, ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)  # [T, K, 2, window]
    middle = around.mean(axis=-1)  # NaN where one of them is
    farthest = np.linalg.norm(around - middle[..., None], axis=2).max(axis=-1)
    return farthest < STILL * size, middle, farthest


def measure(path: pathlib.Path) -> dict[str, Any]:
    """Of one clip, by method."""
    file, fps = read_poses(path), read_poses(path.with_name("poses.csv")).fps
    found: dict[str, Any] = {"fps": round(fps, 3), "poses": sum(len(track.frames) for track in file.tracks)}
    for name, made in METHODS.items():
        before, after, moves, out, count = [], [], [], 0, 0
        for poses in (part for track in file.tracks for part in parts(track)):
            valid = np.isfinite(poses).all(axis=-1)
            refined = refine_sequence(poses, valid, fps, made(), Options(max_gap=0)).poses
            before.append(accelerations(poses, valid).ravel())
            after.append(accelerations(refined, valid).ravel())
            stands, middle, farthest = still(poses, max(round(HALF * fps), 2))
            moves.append(np.linalg.norm(refined - poses, axis=-1)[stands])
            beyond = np.linalg.norm(refined - middle, axis=-1)[stands] > farthest[stands]
            out, count = out + int(beyond.sum()), count + int(stands.sum())
        moved = np.concatenate(moves)
        found[name] = {
            "jitter_before": float(np.nanmean(np.concatenate(before))),
            "jitter_after": float(np.nanmean(np.concatenate(after))),
            "still_joints": count,
            "still_mean_move": float(moved.mean()) if count else None,
            "still_largest_move": float(moved.max()) if count else None,
            "moved_out_of_the_circle": out,
        }
    return found


def table(result: dict[str, Any]) -> str:
    """The Markdown table of the page."""
    rows = [
        "| clip | method | jitter before | after | still joints | moved by, mean | most | out of the circle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for clip, found in result["clips"].items():
        for name in METHODS:
            of = found[name]
            none = of["still_mean_move"] is None
            moves = ("–", "–") if none else (f"{of['still_mean_move']:.2f}", f"{of['still_largest_move']:.2f}")
            rows.append(
                f"| {clip}, {found['fps']:g} fps | {name} | {of['jitter_before']:.2f} | {of['jitter_after']:.2f} | "
                f"{of['still_joints']:,} | {' | '.join(moves)} | {of['moved_out_of_the_circle']} |"
            )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("poses", nargs="+", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    clips = {path.parent.name.removesuffix("_poses"): measure(path) for path in arguments.poses}
    result = {"machine": machine("scipy", "numpy"), "clips": clips}
    publish("refine_clips", result, table(result), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

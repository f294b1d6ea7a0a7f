"""Where a track is looked for: where its motion leads, by constant velocity or by optical flow.

python -m benchmarks.tracking_motion --output benchmarks/results/tracking_motion.json --page docs/benchmarks.md

The imagined persons of `benchmarks.tracking`, at every frame and at every third one, where people move farther. Flow is
computed on small grey copies; it moves a track by the median over the sure joints of its last pose, and is its velocity
while nobody is found: followed further, it follows who is in front.
"""

import argparse
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import machine, publish
from benchmarks.tracked_people import Seen, imagined, truth, videos
from benchmarks.tracking import OPTIONS, present, score
from jmpose_jax.inference.tracking.likeness import SURE_JOINT
from jmpose_jax.inference.tracking.tracker import Tracker
from jmpose_jax.metrics.identities import IdentityCounts

# Grey images before and after, points float32 [N, 2] in their pixels -> how far they went, [N, 2]; NaN where lost.
Flow = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def dis(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> np.ndarray:
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(before, after, None)
    limits = np.array(before.shape[::-1]) - 1
    x, y = np.clip(points.round().astype(int), 0, limits).T
    return flow[y, x]


def lucas_kanade(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> np.ndarray:
    options = {"winSize": (15, 15), "maxLevel": 2}
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points[:, None], None, **options)
    return np.where(found > 0, there[:, 0] - points, np.nan)


class MovedTracker(Tracker):
    """A tracker whose velocities are those of a flow, or none."""

    def __init__(self, images: Sequence[np.ndarray], flow: Flow | None, width: int):
        super().__init__(OPTIONS)
        self._images, self._flow, self._width = iter(images), flow, width
        self._last: np.ndarray | None = None
        self.seconds = 0.0

    def update(self, *found: Any) -> tuple[np.ndarray, np.ndarray]:
        image = next(self._images)
        seen = [track for track in self._tracks if track.age == 0]
        if self._flow is None:
            for track in self._tracks:
                track.velocity = np.zeros(2)
            return super().update(*found)
        start = time.perf_counter()
        zoom = self._width / image.shape[1]
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gray = cv2.resize(gray, (self._width, round(zoom * image.shape[0])), interpolation=cv2.INTER_AREA)
        points = [zoom * track.keypoints[track.scores >= SURE_JOINT] for track in seen]
        if self._last is not None and sum(map(len, points)):
            moved = self._flow(self._last, gray, np.concatenate(points).astype(np.float32)) / zoom
            for track, of_track in zip(seen, np.split(moved, np.cumsum([len(part) for part in points])[:-1])):
                if np.isfinite(of_track[:, 0]).sum() >= 3:
                    track.velocity = np.nanmedian(of_track, axis=0)
        self._last = gray
        self.seconds += time.perf_counter() - start
        return super().update(*found)


MOTIONS: dict[str, Callable[[Sequence[np.ndarray]], Tracker]] = {
    "none": lambda images: MovedTracker(images, None, 0),
    "constant velocity": lambda images: Tracker(OPTIONS),
    "DIS flow, 160 pixels wide": lambda images: MovedTracker(images, dis, 160),
    "DIS flow, 320": lambda images: MovedTracker(images, dis, 320),
    "Lucas–Kanade at the joints, 320": lambda images: MovedTracker(images, lucas_kanade, 320),
}


def measure(count: int, frames: int, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row a motion and stride, over the videos of all seeds."""
    counts = {(motion, stride): IdentityCounts() for motion in MOTIONS for stride in (1, 3)}
    seconds, steps = dict.fromkeys(counts, 0.0), dict.fromkeys(counts, 0)
    for seed in seeds:
        for number, video in videos(count, frames, seed):
            truths, seen = truth(video), imagined(video, np.random.default_rng([seed, number]))
            for motion, stride in counts:
                part: list[Seen] = seen[::stride]
                tracker = MOTIONS[motion](video.frames[::stride])
                counts[motion, stride] += score(truths[::stride], present(part, tracker=tracker))[0]
                seconds[motion, stride] += getattr(tracker, "seconds", 0.0)
                steps[motion, stride] += len(part)
    return [
        {
            "motion": motion,
            "stride": stride,
            "mota": found.mota(),
            "idf1": found.idf1(),
            "switches": found.switches,
            "milliseconds_a_frame": 1e3 * seconds[motion, stride] / steps[motion, stride],
        }
        for (motion, stride), found in counts.items()
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = ["| motion | every | MOTA | IDF1 | switches | flow, ms a frame |", "|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: row["stride"]):
        every = "frame" if row["stride"] == 1 else f"{row['stride']}rd frame"
        figures = f"{row['mota']:.1f} | {row['idf1']:.1f} | {row['switches']} | {row['milliseconds_a_frame']:.1f} |"
        lines.append(f"| {row['motion']} | {every} | {figures}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=16, help="of a seed")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    rows = measure(arguments.videos, arguments.frames, arguments.seeds)
    settings = {"videos": arguments.videos, "frames": arguments.frames, "seeds": arguments.seeds}
    result = {"machine": machine(), **settings, "rows": rows}
    publish("tracking_motion", result, table(rows), arguments.output, arguments.page)


if __name__ == "__main__":
    main()

"""Time of the PoseTrack evaluation: videos in official form are generated, written, and evaluated.

python -m benchmarks.metrics --videos 170 --frames 60 --persons 6 --output metrics.json
"""

import argparse
import json
import pathlib
import platform
import tempfile
import time

import numpy as np

from jmpose_jax.inference.outputs.posetrack18 import category
from jmpose_jax.metrics import posetrack
from jmpose_jax.skeletons import POSETRACK17


def generate(folder: pathlib.Path, videos: int, frames: int, persons: int, seed: int = 0) -> None:
    """Write `ground_truth/` and `predictions/`: drifting persons, noisy predictions, some missed, ignore regions."""
    rng = np.random.default_rng(seed)
    ears = [POSETRACK17.index("left_ear"), POSETRACK17.index("right_ear")]
    for name in ("ground_truth", "predictions"):
        (folder / name).mkdir(parents=True)
    for video in range(videos):
        files = {name: {"images": [], "annotations": [], "categories": [category()]} for name in ("truth", "found")}
        shape = rng.normal(0, 60, (persons, 17, 2))
        center, speed = rng.uniform(100, 1100, (persons, 2)), rng.normal(0, 4, (persons, 2))
        for frame in range(frames):
            image_id = 10**10 + video * 10**4 + frame
            image = {
                "id": image_id,
                "frame_id": image_id,
                "file_name": f"images/val/{video:06d}_mpii_test/{frame:06d}.jpg",
            }
            region = {"ignore_regions_x": [[0, 200, 200, 0]], "ignore_regions_y": [[0, 0, 200, 200]]}
            files["truth"]["images"].append({**image, **region, "is_labeled": True})
            files["found"]["images"].append(image)
            for person in range(persons):
                joints = np.ones((17, 3))
                joints[:, :2] = (center[person] + frame * speed[person] + shape[person]).round(2)
                joints[ears] = 0
                annotation = {"image_id": image_id, "track_id": person, "category_id": 1}
                head = [*joints[2, :2].tolist(), 40, 50]
                truth = {**annotation, "keypoints": joints.ravel().tolist(), "bbox_head": head}
                files["truth"]["annotations"].append(truth)
                if rng.random() < 0.9:
                    noisy = joints.copy()
                    noisy[:, :2] += rng.normal(0, 12, (17, 2)).round(2)
                    noisy[ears] = 0
                    scores = rng.random(17).round(7).tolist()
                    files["found"]["annotations"].append(
                        {**annotation, "keypoints": noisy.ravel().tolist(), "scores": scores}
                    )
        stem = f"{video:06d}_mpii_test.json"
        (folder / "ground_truth" / stem).write_text(json.dumps(files["truth"]))
        (folder / "predictions" / stem).write_text(json.dumps(files["found"]))


def measure(videos: int, frames: int, persons: int, repeats: int) -> dict:
    """The time of `evaluate` and of its part after reading, the best of the repeats."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        generate(folder, videos, frames, persons)
        size = sum(path.stat().st_size for path in folder.rglob("*.json"))
        seconds, result = [], None
        for _ in range(repeats):
            start = time.perf_counter()
            result = posetrack.evaluate(folder / "ground_truth", folder / "predictions")
            seconds.append(time.perf_counter() - start)
        truth = [posetrack.read_sequence(p, True) for p in sorted((folder / "ground_truth").glob("*.json"))]
        found = [posetrack.read_sequence(p) for p in sorted((folder / "predictions").glob("*.json"))]
        start = time.perf_counter()
        posetrack.evaluate_sequences(truth, found)
        in_memory = time.perf_counter() - start
    return {
        "videos": videos,
        "frames": videos * frames,
        "persons": videos * frames * persons,
        "megabytes": round(size / 1e6, 1),
        "seconds": round(min(seconds), 3),
        "seconds_without_reading": round(in_memory, 3),
        "frames_per_second": round(videos * frames / min(seconds)),
        "ap": round(result.ap["Total"], 3),
        "mota": round(result.mota["Total"], 3),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=170, help="how many (PoseTrack18 val: 170)")
    parser.add_argument("--frames", type=int, default=60, help="annotated frames a video")
    parser.add_argument("--persons", type=int, default=6, help="persons a frame")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write as well")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.videos, arguments.frames, arguments.persons, arguments.repeats), indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()

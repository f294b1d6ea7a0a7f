"""Speed and memory of the loader, beside a plain PyTorch DataLoader that does the same work with the same cv2 calls.

python -m benchmarks.loader --output benchmarks/results/loader.json --page docs/benchmarks.md

Videos of random pictures are generated in the official form and prepared. A clip is five decoded frames, one augmented
affine, five warps, and the joints. Both sides load with one process beside this one, on the cores that this process
may use; without PyTorch our side alone is timed.
"""

import argparse
import importlib.metadata
import json
import pathlib
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import write_between_markers
from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions, Reading
from data_pipeline.clips.table import ClipTable
from data_pipeline.clips.transforms import Augmentation, crop_keypoints, example_affine
from data_pipeline.preparation.prepare import prepare
from data_pipeline.preparation.workers import usable_cores
from jmpose_jax.files import write_json
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17_TO_15

DELTA = 2


def generate(root: pathlib.Path, videos: int, frames: int, people: int, size: tuple[int, int], seed: int = 0) -> None:
    """PoseTrack18-form videos of smooth random pictures with some noise; every frame is labelled."""
    rng = np.random.default_rng(seed)
    (root / "annotations" / "train").mkdir(parents=True)
    width, height = size
    for video in range(videos):
        name = f"{video:06d}_mpii_train"
        folder = root / "images" / "train" / name
        folder.mkdir(parents=True)
        base = cv2.resize(rng.integers(0, 255, (9, 16, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
        images, annotations = [], []
        for frame in range(frames):
            image_id = 10**10 + video * 10**4 + frame
            noise = cv2.resize(rng.integers(0, 40, (height // 2, width // 2, 3), np.uint8), size)
            cv2.imwrite(str(folder / f"{frame:06d}.jpg"), cv2.add(np.roll(base, 3 * frame, 1), noise))
            file_name = f"images/train/{name}/{frame:06d}.jpg"
            images.append({"file_name": file_name, "id": image_id, "frame_id": image_id, "is_labeled": True})
            for person in range(people):
                corner, extent = rng.uniform(0, [width / 2, height / 3]), rng.uniform(height / 4, height / 2, 2)
                joints = np.ones((17, 3))
                joints[:, :2] = corner + rng.random((17, 2)) * extent
                joints[3:5] = 0
                annotation = {"image_id": image_id, "id": image_id * 100 + person, "track_id": person}
                box = {"bbox": [*corner.tolist(), *extent.tolist()], "bbox_head": [*corner.tolist(), 40, 40]}
                annotations.append({**annotation, **box, "category_id": 1, "keypoints": joints.ravel().tolist()})
        content = {"images": images, "annotations": annotations, "categories": []}
        (root / "annotations" / "train" / f"{name}.json").write_text(json.dumps(content))


class PlainDataset:
    """What a PyTorch project of this field does: read the files of a clip, one affine, warp, move the joints."""

    def __init__(self, source: pathlib.Path, prepared: pathlib.Path, input_size: tuple[int, int], train: bool):
        table = ClipTable.load(prepared, "train")
        self._windows, _ = table.windows(DELTA)
        self._clips, self._train = table.clips, train
        self._files = [str(source / name) for name in table.frames["frame_file_name"].tolist()]
        self._size = input_size[1], input_size[0]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        joints = list(POSETRACK17_TO_15)
        keypoints = self._clips["keypoints"][row][joints]
        annotated = self._clips["annotated"][row][joints].astype(np.float32)
        rng = np.random.default_rng()
        augmentation = Augmentation() if self._train else None
        affine, flip = example_affine(
            self._clips["box"][row], self._size, keypoints, annotated, POSETRACK15, augmentation, rng
        )
        frames = []
        for record in self._windows[row]:
            image = cv2.imread(self._files[record], cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            frames.append(cv2.warpAffine(image, affine, self._size, flags=cv2.INTER_LINEAR))
        permutation = POSETRACK15.flip_permutation if flip else None
        points, weights = crop_keypoints(keypoints, annotated, affine, self._size, permutation)
        return {"frames": np.stack(frames), "keypoints": points, "joint_weights": weights}


def clips_per_second(batches: Iterator[Any], batch_size: int, seconds: float) -> float:
    """Clips a second by the clock, after two batches that start workers and fill buffers."""
    for _ in range(2):
        next(batches)
    start, count = time.perf_counter(), 0
    for _ in batches:
        count += 1
        if time.perf_counter() - start >= seconds:
            break
    return count * batch_size / (time.perf_counter() - start)


def endless(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def measure_speed(
    source: pathlib.Path, prepared: pathlib.Path, size: tuple[int, int], batch_size: int, seconds: float, rounds: int
) -> dict[str, Any]:
    """Both sides in turns; the best of the rounds, which other load on the machine disturbed least."""
    try:
        import torch.utils.data as torch_data
    except ImportError:
        torch_data = None
    result: dict[str, Any] = {}
    for name, train in (("training, shuffled and augmented", True), ("evaluation, in order", False)):
        found: dict[str, list[float]] = {"ours": [], "torch": []}
        for _ in range(rounds):
            # In a shuffled real data set the cache of decoded frames finds nothing; in this small one it would.
            reading = Reading(num_workers=1, num_threads=1, **({"cache_mib": 0} if train else {}))
            clips = ClipOptions(DELTA, size, augment={} if train else None)
            loader = make_loader(prepared, "train", clips, batch_size, train=train, repeat=True, reading=reading)
            found["ours"].append(clips_per_second(loader, batch_size, seconds))
            loader.close()
            if torch_data is not None:
                dataset = PlainDataset(source, prepared, size, train)
                plain = torch_data.DataLoader(dataset, batch_size, shuffle=train, num_workers=1, drop_last=True)
                found["torch"].append(clips_per_second(endless(plain), batch_size, seconds))
        ours = max(found["ours"])
        result[name] = {"ours_clips_per_second": round(ours, 2)}
        if found["torch"]:
            theirs = max(found["torch"])
            result[name] |= {"torch_clips_per_second": round(theirs, 2), "ratio": round(ours / theirs, 2)}
        result[name]["rounds"] = {side: [round(value, 2) for value in values] for side, values in found.items()}
    return result


def measure_memory(prepared: pathlib.Path, batches: int, size: tuple[int, int]) -> dict[str, Any]:
    """Resident memory of this process while it loads many small batches in its own threads."""
    loader = make_loader(prepared, "train", ClipOptions(DELTA, size, augment={}), batch_size=1, train=True)
    marks = {}
    for number in range(1, batches + 1):
        next(loader)
        if number in (batches // 10, batches // 2, batches):
            marks[number] = round(resident_mib(), 1)
    loader.close()
    return {"batches": batches, "resident_mib_after": marks}


def resident_mib() -> float:
    """Resident memory of this process; the peak where the system does not tell the present one."""
    status = pathlib.Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| loader, 5 × 384 × 288, one worker | ours, clips/s | PyTorch, clips/s | ratio |", "|---|---|---|---|"]
    for name, row in result["speed"].items():
        cells = [str(row.get(key, "–")) for key in ("ours_clips_per_second", "torch_clips_per_second", "ratio")]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    memory = result["memory"]
    marks = ", ".join(f"{mib} MiB after {number}" for number, mib in memory["resident_mib_after"].items())
    lines += ["", f"`prepare`: {result['prepare_frames_per_second']} frames/s. Memory of the loader: {marks} batches."]
    lines.append(f"On {result['machine']}. Command: `python -m benchmarks.loader --page docs/benchmarks.md`.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--frames", type=int, default=30, help="of a video")
    parser.add_argument("--people", type=int, default=4, help="in a frame")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=12, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory_batches", type=int, default=10_000)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        generate(folder / "source", arguments.videos, arguments.frames, arguments.people, (1280, 720))
        start = time.perf_counter()
        prepare("posetrack18", folder / "source", folder / "prepared", progress=False)
        prepared = arguments.videos * arguments.frames / (time.perf_counter() - start)
        speed = measure_speed(
            folder / "source",
            folder / "prepared",
            (384, 288),
            arguments.batch_size,
            arguments.seconds,
            arguments.rounds,
        )
        generate(folder / "small", 4, 20, 1, (96, 64))
        prepare("posetrack18", folder / "small", folder / "small_prepared", progress=False)
        memory = measure_memory(folder / "small_prepared", arguments.memory_batches, (64, 48))
    packages = {}
    for name in ("grain", "opencv-python-headless", "numpy", "torch"):
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            packages[name] = None
    result = {
        "machine": f"{platform.machine()}, {usable_cores()} core(s), Python {platform.python_version()}",
        "images": "1280 × 720 JPEG",
        "versions": packages,
        "prepare_frames_per_second": round(prepared, 1),
        "speed": speed,
        "memory": memory,
    }
    if arguments.output:
        write_json(arguments.output, result)
    if arguments.page:
        write_between_markers("loader", table(result), arguments.page)
    print(table(result))


if __name__ == "__main__":
    main()

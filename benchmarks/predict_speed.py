"""How fast `jmpose predict` is: end to end beside its networks alone, its start, its memory, and its video files.

python -m benchmarks.predict_speed VIDEO --output benchmarks/results/predict_speed.json --page docs/predict.md

With --peers, a folder that holds MediaPipe's pose_detection.tflite and pose_landmark_full.tflite (they are in its
wheel), and --peer_python, a Python that has ai-edge-litert, those models are timed on the same people in the same run.

What shares the machine slows all of it: whatever is compared runs in turns, a ratio is the median of those of the
turns, and the processor's time stands beside that of the clock.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import jax
import numpy as np

from benchmarks.measure import REPOSITORY, machine, publish
from jmpose_jax.inference.movenet import DETECTOR, MoveNetDetector, pose_predictor, weights
from jmpose_jax.inference.pipeline import predict_video
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.sources.cut import Bound, Cut
from jmpose_jax.inference.video.reader import VideoReader
from jmpose_jax.inference.video.writer import VideoWriter

PEERS = (("pose_detection.tflite", "frames", 224), ("pose_landmark_full.tflite", "crops", 256))
MEGABYTE = 1e6


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds of some work by the clock, and of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


class Recorded:
    """A compiled program that notes what it is called with."""

    def __init__(self, program: Callable):
        self.program, self.calls = program, []

    def __call__(self, variables: Any, inputs: Any) -> Any:
        self.calls.append(inputs)
        return self.program(variables, inputs)


class Networks:
    """Detector and predictor of MoveNet, and what their programs read while a video was predicted."""

    def __init__(self, variant: str, video: pathlib.Path, frames: int, batch_size: int):
        """Predict the video once, which compiles the programs and notes their inputs."""
        found = weights([f"movenet_{variant}", DETECTOR], print)
        self.video, self.frames = video, frames
        self.detector = MoveNetDetector(found[DETECTOR])
        self.predictor: Predictor = pose_predictor(variant, found[f"movenet_{variant}"], batch_size)
        find, estimate = Recorded(self.detector._run), Recorded(self.predictor._estimate)
        self.detector._run, self.predictor._estimate = find, estimate
        self.summary = self.end_to_end()
        self.detector._run, self.predictor._estimate = find.program, estimate.program
        self.images, self.batches = find.calls, estimate.calls

    def end_to_end(self) -> Any:
        """All that the command does after its start: decode, predict, draw, encode, write files and page."""
        source = Cut(VideoReader(self.video), end=Bound(self.frames, False))
        with tempfile.TemporaryDirectory() as folder:
            return predict_video(self.predictor, source, pathlib.Path(folder) / "out", self.detector)

    def find(self) -> None:
        """The detector's network alone on every frame."""
        for images in self.images:
            jax.device_get(self.detector._run(self.detector._variables, images))

    def estimate(self) -> None:
        """The poses' network alone on every batch."""
        for batch in self.batches:
            jax.device_get(self.predictor._estimate(self.predictor._variables, batch))

    def crops(self) -> np.ndarray:
        """The people that were estimated, uint8 [N, H, W, 3]."""
        return np.concatenate([batch.frames[batch.valid > 0, 0] for batch in self.batches])


@contextlib.contextmanager
def peer(python: str, folder: pathlib.Path, networks: Networks) -> Iterator[Callable[[], list[dict[str, float]]]]:
    """A process of `tflite_peer.py`; the function asks it for a round. Its attribute `versions` is what it runs."""
    with tempfile.TemporaryDirectory() as place:
        inputs = os.path.join(place, "inputs.npz")
        crops = np.stack([cv2.resize(crop, (PEERS[1][2],) * 2) for crop in networks.crops()])
        frames = np.stack([cv2.resize(images[0], (PEERS[0][2],) * 2) for images in networks.images])
        np.savez(inputs, crops=crops, frames=frames)
        script = str(REPOSITORY / "benchmarks" / "tflite_peer.py")
        models = [word for name, array, _ in PEERS for word in (str(folder / name), array)]
        process = subprocess.Popen(
            [python, script, inputs, *models], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

        def ask() -> list[dict[str, float]]:
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        try:
            ask.versions = json.loads(process.stdout.readline())
            yield ask
        finally:
            process.stdin.close()
            process.wait()


def in_turns(networks: Networks, rounds: int, ask: Callable[[], list[dict[str, float]]] | None) -> list[dict[str, Any]]:
    """Every round: the networks alone, all of prediction, the networks again, and the peers where there are some."""
    found = []
    for _ in range(rounds):
        before = [timed(networks.find), timed(networks.estimate)]
        whole = timed(networks.end_to_end)
        after = [timed(networks.find), timed(networks.estimate)]
        find, estimate = ({k: (a[k] + b[k]) / 2 for k in a} for a, b in zip(before, after))
        row = {"whole": whole, "find": find, "estimate": estimate}
        if ask:
            row["peer_find"], row["peer_estimate"] = ask()
        found.append(row)
    return found


def ratios(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over the rounds: what share of the networks' frames a second all of prediction has, and the peers'."""

    found = {}
    for clock in ("seconds", "cpu"):
        shares = [(row["find"][clock] + row["estimate"][clock]) / row["whole"][clock] for row in rounds]
        found[f"share_{clock}"] = statistics.median(shares)
        for part in ("find", "estimate"):
            over = [row[part][clock] / row[f"peer_{part}"][clock] for row in rounds if f"peer_{part}" in row]
            if over:
                found[f"{part}_over_peer_{clock}"] = statistics.median(over)
    return found


def start(video: pathlib.Path, runs: int) -> list[dict[str, float]]:
    """Seconds of the whole command for one frame, its programs compiled by an earlier run that is not counted."""
    found = []
    for _ in range(runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            words = ["predict", str(video), "--end", "1", "--output", f"{folder}/out"]
            before, wall = os.times(), time.perf_counter()
            subprocess.run([sys.executable, "-m", "experiments.cli", *words], check=True, capture_output=True)
            after = os.times()
            cpu = after.children_user - before.children_user + after.children_system - before.children_system
            found.append({"seconds": time.perf_counter() - wall, "cpu": cpu})
    return found[1:]


def memory(video: pathlib.Path, frames: int, every: int) -> list[tuple[int, float]]:
    """(frames done, resident megabytes) of a prediction of a file that holds the video again and again.

    The smaller network and few looks for people: what a frame leaves behind is the same, and it takes minutes. One
    file, since each decoder that is opened anew takes memory of its own.
    """
    found = weights(["movenet_lightning", DETECTOR], print)
    predictor = pose_predictor("lightning", found["movenet_lightning"])
    held: list[tuple[int, float]] = []

    def note(poses: Any) -> None:
        if (poses.index + 1) % every == 0:
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
            held.append((poses.index + 1, pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE))

    with tempfile.TemporaryDirectory() as folder:
        long, reader = pathlib.Path(folder) / "long.mp4", VideoReader(video)
        with VideoWriter(long, reader.rate, reader.size) as writer:
            images = itertools.chain.from_iterable(iter(reader) for _ in itertools.count())
            for image in itertools.islice(images, frames):
                writer.write(image)
        detector = MoveNetDetector(found[DETECTOR])
        predict_video(predictor, long, pathlib.Path(folder) / "out", detector, detect_every=10, report=note)
    return held


def video_files(video: pathlib.Path, frames: int, rounds: int) -> dict[str, dict[str, float]]:
    """Frames a second of decoding to RGB and of encoding, PyAV (what is used here) and OpenCV in turns: the medians."""
    reader = VideoReader(video)
    images = [image for image, _ in zip(reader, range(frames))]
    with tempfile.TemporaryDirectory() as folder:

        def opencv_reads() -> None:
            capture = cv2.VideoCapture(str(video))
            for _ in range(len(images)):
                cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
            capture.release()

        def opencv_writes() -> None:
            code = cv2.VideoWriter_fourcc(*"mp4v")
            writer = cv2.VideoWriter(f"{folder}/a.mp4", code, reader.fps, reader.size)
            for image in images:
                writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            writer.release()

        def reads() -> None:
            for _ in zip(reader, range(len(images))):
                pass

        def writes(encoder: str) -> None:
            with VideoWriter(f"{folder}/b.mp4", reader.rate, reader.size, encoder=encoder) as writer:
                for image in images:
                    writer.write(image)

        ways = {
            "decode, PyAV": reads,
            "decode, OpenCV": opencv_reads,
            "encode MPEG-4, PyAV": lambda: writes("mpeg4"),
            "encode MPEG-4, OpenCV": opencv_writes,
            "encode H.264, PyAV": lambda: writes("libx264"),
        }
        times = [{name: timed(way) for name, way in ways.items()} for _ in range(rounds)]
    return {
        name: {
            clock: len(images) / statistics.median(row[name][clock] for row in times) for clock in ("seconds", "cpu")
        }
        for name in ways
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        held = alone.submit(memory, options.video, options.long, max(options.long // 20, 1)).result()
    result: dict[str, Any] = {"memory": held, "start": start(options.video, options.rounds)}
    networks = Networks("thunder", options.video, options.frames, options.batch_size)
    given = peer(options.peer_python, options.peers, networks) if options.peers else contextlib.nullcontext()
    with given as ask:
        rounds = in_turns(networks, options.rounds, ask)
        result["peer_versions"] = ask.versions if ask else None
    people = len(networks.crops())
    result |= {
        "video": options.video.name,
        "size": list(VideoReader(options.video).size),
        "frames": networks.summary.frames,
        "people": people,
        "batches": len(networks.batches),
        "batch_size": options.batch_size,
        "rounds": rounds,
        "ratios": ratios(rounds),
        "video_files": video_files(options.video, options.frames, options.rounds),
        "load_average": os.getloadavg()[0],
        "machine": machine("flax", "av", "opencv-python-headless"),
    }
    return result


def table(result: dict[str, Any]) -> str:
    """Markdown: a row a figure."""
    frames, people = result["frames"], result["people"]
    width, height = result["size"]
    rows = []

    def row(name: str, digits: int, clock: float, cpu: float | None = None) -> None:
        rows.append(f"| {name} | {clock:.{digits}f} | {'' if cpu is None else f'{cpu:.{digits}f}'} |")

    def median(part: str, clock: str) -> float:
        return statistics.median(turn[part][clock] for turn in result["rounds"])

    def both(part: str, count: int) -> list[float]:
        return [1e3 * median(part, clock) / count for clock in ("seconds", "cpu")]

    shares = result["ratios"]
    row(
        "end to end, frames a second (thunder, people looked for on every frame)",
        1,
        frames / median("whole", "seconds"),
    )
    row("… as a share of what the networks alone allow", 2, shares["share_seconds"], shares["share_cpu"])
    row("multipose, ms a frame", 0, *both("find", frames))
    row("thunder, ms a person", 0, *both("estimate", people))
    for part, name in (("find", "multipose over MediaPipe's detector"), ("estimate", "thunder over BlazePose full")):
        if f"{part}_over_peer_cpu" in shares:
            times = shares[f"{part}_over_peer_seconds"], shares[f"{part}_over_peer_cpu"]
            row(f"time of {name} under LiteRT", 1, *times)
    start = [min(run[clock] for run in result["start"]) for clock in ("seconds", "cpu")]
    row("the whole command for one frame, when its programs are compiled, s", 1, *start)
    last = result["memory"][-1][0]
    for done, megabytes in (held for held in result["memory"] if held[0] * 4 in (last, 2 * last, 4 * last)):
        row(f"memory after {done} frames, MB", 0, megabytes)
    for name, rates in result["video_files"].items():
        row(f"{name}, frames a second", 0, rates["seconds"], rates["cpu"])
    about = f"{width}×{height}, {people / frames:.1f} people a frame, {result['machine']['cores']} cores"
    head = f"| {about}, load {result['load_average']:.1f} | by the clock | processor's time |"
    return "\n".join([head, "|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=pathlib.Path)
    parser.add_argument("--frames", type=int, default=100, help="of the video that are predicted in each round")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--long", type=int, default=2000, help="frames over which memory is watched")
    parser.add_argument("--peers", type=pathlib.Path, help="folder of MediaPipe's models")
    parser.add_argument("--peer_python", default=sys.executable, help="a Python that has ai-edge-litert")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--page", type=pathlib.Path, help="file whose marked table is replaced")
    options = parser.parse_args()
    result = measure(options)
    publish("predict_speed", result, table(result), options.output, options.page)


if __name__ == "__main__":
    main()

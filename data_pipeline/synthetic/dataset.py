"""Writes the embedded data set to disk, in the form of PoseTrack18."""

import concurrent.futures
import contextlib
import functools
import json
import multiprocessing
import os
import pathlib
import shutil
import sys

import cv2
import numpy as np

from data_pipeline.synthetic.annotations import video_annotations, video_name
from data_pipeline.synthetic.config import SPLITS, SyntheticConfig, labelled_frames
from data_pipeline.synthetic.flow import exact_flow, write_flo
from data_pipeline.synthetic.mocap import load_library
from data_pipeline.synthetic.render import Video, crop_speed, render_video, video_rng
from data_pipeline.synthetic.visibility import Cause
from jmpose_jax.errors import InputError
from jmpose_jax.progress import progress as report_progress

_FLOW_README = (
    "Exact flow of frame a to frame b in a_b.flo (Middlebury): one vector every {stride} pixels in x and y, from pixel "
    "(0, 0) on; the values are (x, y) in pixels of the full frame, so the flow at pixel (x, y) is "
    "flow[y // {stride}, x // {stride}].\n"
)
DEFAULT_NUM_VIDEOS = {"train": 700, "val": 80, "test": 120}


def generate(
    output: str,
    *,
    num_videos: dict[str, int] | None = None,
    seed: int = 0,
    config: SyntheticConfig | None = None,
    num_processes: int | None = None,
    flow: bool = False,
    progress: bool = True,
) -> dict:
    """Renders videos and writes them as PoseTrack18 has them.

    The videos of a split are drawn from the random streams (seed, split, 0), (seed, split, 1), ...: bodies, clothes,
    backgrounds and motions of different splits are independent, a larger number of videos keeps the first ones, and
    the number of processes changes no byte. The test split is meant to be looked at once, at the end.

    Args:
      output: folder to write to; made where absent.
      num_videos: videos by split, of "train", "val" and "test".
      seed: of the whole set, not negative.
      config: what the videos look like.
      num_processes: worker processes; None takes one a core.
      flow: also writes the exact optical flow, `flow/{split}/{video}/{a:06d}_{b:06d}.flo` from frame a to frame b.
      progress: reports how far it is.

    Returns:
      Counts by split: videos, frames, labelled frames, annotations, ignore regions, joints by cause, joints that are
      left out, the median joint motion by speed regime.

    Raises:
      InputError: an unknown split, a negative number, a folder that cannot be made, or motion files at fault.
    """
    config = config or SyntheticConfig()
    num_videos = DEFAULT_NUM_VIDEOS if num_videos is None else num_videos
    _check(num_videos, seed)
    if config.mocap:
        load_library(config.mocap)  # a fault in it is found before the first video is rendered
    tasks = [(split, index) for split in SPLITS for index in range(num_videos.get(split, 0))]
    root = pathlib.Path(output)
    try:
        for split, _ in tasks:
            for folder in ("images", "annotations"):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be made into a folder ({error.strerror}); give another output") from error
    if flow:
        (root / "flow").mkdir(exist_ok=True)
        _write_bytes(root / "flow" / "README.txt", _FLOW_README.format(stride=config.flow_stride).encode())
    work = functools.partial(_write_video, output=str(root), seed=seed, config=config, flow=flow)
    facts = list(_run(work, tasks, num_processes, progress))
    return {split: _summary([f for f in facts if f["split"] == split]) for split in SPLITS if num_videos.get(split)}


def _check(num_videos, seed):
    for split, count in num_videos.items():
        if split not in SPLITS:
            raise InputError(f"num_videos: unknown split {split!r}; known are {', '.join(SPLITS)}")
        if count < 0:
            raise InputError(f"num_videos[{split!r}]={count}: give 0 or more")
    if seed < 0:
        raise InputError(f"seed={seed}: give 0 or more")


def _run(work, tasks, num_processes, enabled):
    count = min(num_processes or _usable_cores(), max(len(tasks), 1))
    report = functools.partial(report_progress, total=len(tasks), description="rendering videos", enabled=enabled)
    if count == 1:
        yield from report(map(work, tasks))
        return
    # A forked process inherits the locks of JAX's threads, but not the threads that would release them.
    context = multiprocessing.get_context("spawn" if "jax" in sys.modules else "fork")
    # Unlike a multiprocessing.Pool, which waits for ever, this one tells when a worker has been killed.
    with concurrent.futures.ProcessPoolExecutor(count, mp_context=context) as pool:
        yield from report(pool.map(work, tasks, chunksize=4))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write_video(task, output, seed, config, flow):
    split, index = task
    library = load_library(config.mocap) if config.mocap else None
    video = render_video(video_rng(seed, split, index), config, library)
    name = video_name(split, index)
    root = pathlib.Path(output)
    if flow:
        with _new_folder(root / "flow" / split / name) as folder:
            for a, b in flow_pairs(split, config):
                write_flo(folder / f"{a:06d}_{b:06d}.flo", exact_flow(video, a, b, config.flow_stride))
    with _new_folder(root / "images" / split / name) as folder:
        for frame, picture in enumerate(video.frames):
            (folder / f"{frame:06d}.jpg").write_bytes(encode_jpeg(picture, video.jpeg_quality))
    content = video_annotations(video, split, index, config)
    _write_bytes(root / "annotations" / split / f"{name}.json", json.dumps(content).encode())
    return _facts(split, video, content)


def flow_pairs(split: str, config: SyntheticConfig) -> list[tuple[int, int]]:
    """The (source, target) frames whose flow is written: at most `delta` apart, around a labelled frame."""
    windows = [range(t - config.delta, t + config.delta + 1) for t in labelled_frames(split, config)]
    every = range(config.num_frames)
    return [
        (a, b)
        for a in every
        for b in every
        if 0 < abs(a - b) <= config.delta and any(a in window and b in window for window in windows)
    ]


@contextlib.contextmanager
def _new_folder(path: pathlib.Path):
    """A folder to fill, which takes its place as a whole, instead of an older one, when it is full."""
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(path, ignore_errors=True)
    os.replace(partial, path)


def encode_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """JPEG bytes of an RGB picture, uint8 [H, W, 3]."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _write_bytes(path: pathlib.Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _facts(split: str, video: Video, content: dict) -> dict:
    causes = [cause for a in content["annotations"] for cause in a["joint_cause"] if cause != "none"]
    present = [v for a in content["annotations"] for v in a["keypoints"][2::3]]
    return {
        "split": split,
        "frames": len(video.frames),
        "labelled_frames": sum(image["is_labeled"] for image in content["images"]),
        "annotations": len(content["annotations"]),
        "blurred_annotations": sum(a["blurred"] for a in content["annotations"]),
        "ignore_regions": sum(len(image["ignore_regions_x"]) for image in content["images"]),
        "causes": {c.name.lower(): causes.count(c.name.lower()) for c in Cause if c != Cause.NONE},
        "joints_left_out": len(causes) - int(sum(present)),
        "regime": video.scene.regime,
        "speed": crop_speed(video),
    }


def _summary(facts: list[dict]) -> dict:
    added = ("frames", "labelled_frames", "annotations", "blurred_annotations", "ignore_regions", "joints_left_out")
    summary = {"videos": len(facts), **{key: sum(f[key] for f in facts) for key in added}}
    summary["joints_by_cause"] = {cause: sum(f["causes"][cause] for f in facts) for cause in facts[0]["causes"]}
    for regime in ("slow", "fast"):
        speeds = [f["speed"] for f in facts if f["regime"] == regime]
        summary[f"{regime}_videos"] = len(speeds)
        summary[f"{regime}_median_crop_pixels_a_frame"] = round(float(np.median(speeds)), 2) if speeds else None
    return summary

"""How near the pose synthesizer of TIPSD (a reconstruction) comes to the poses between two frames.

  python -m benchmarks.interim_poses --runs runs/tipsd0 runs/tipsd1 runs/tipsd2 --videos 40 \
    --output benchmarks/results/interim_poses.json

The renderer of the embedded data set knows every joint at t - 1/2 and t + 1/2. Videos of people that no training saw
are rendered, slow and fast ones, for every run with a seed of its own. The synthesized places are compared with what
two interpolations make of the same detections in t - 1, t and t + 1: the straight line, and the natural cubic spline.
"true, straight" is the straight line between the true places: what is left of the error where detections are perfect.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from benchmarks.measure import machine, publish
from data_pipeline.clips.transforms import crop_keypoints, example_affine
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.render import Video, render_video, video_rng
from data_pipeline.synthetic.scene import frame_moments
from data_pipeline.synthetic.visibility import NUM_JOINTS, Cause
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import apply_affine, invert_affine, warp
from jmpose_jax.ops.heatmaps import decode
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import POSETRACK15
from jmpose_jax.train.trained import load_model

METHODS = ("synthesized", "straight", "spline", "true, straight")
REGIMES = ("slow", "fast")
BOX_MARGIN = 1.3
PICTURES = 8  # of a run
FIRST_SEED = 70_000  # of the rendered videos, far from those of any data set


@dataclasses.dataclass(frozen=True)
class Clips:
    """The clips of one video.

    Attributes:
      batch: three frames each.
      frames: true places in the frames t - 1, t and t + 1, float64 [n, 3, K, 2], crop pixels.
      between: true places at t - ½ and t + ½, float64 [n, 2, K, 2], crop pixels.
      counted: bool [n, 2, K], joints that are seen in both frames around the moment, and in the crop.
    """

    batch: ClipBatch
    frames: np.ndarray
    between: np.ndarray
    counted: np.ndarray


def true_places(video: Video, config: SyntheticConfig, moments: np.ndarray) -> np.ndarray:
    """The annotated people's joints at any moments, in frames from the middle: float64 [P, F, K, 2], image pixels."""
    camera = video.scene.camera(moments, config)
    people = [person for person in video.scene.people if person.annotated]
    return np.stack([camera.project(person.points(moments)[:, :NUM_JOINTS])[0] for person in people])


def clips_of(video: Video, scene: SyntheticConfig, dataset: Mapping[str, Any]) -> Clips | None:
    """Every annotated person around every inner frame, cropped as a loader does; None where nobody is in the picture.

    Args:
      video: of `render_video`.
      scene: that it was rendered with.
      dataset: `config.dataset` of the run.
    """
    moments = frame_moments(scene)
    whole, half = (true_places(video, scene, m) for m in (moments, moments[:-1] + 0.5))
    height, width = dataset["input_size"]
    inside = (whole >= 0).all(-1) & (whole < (scene.width, scene.height)).all(-1)
    seen = (video.causes[: len(whole)] == Cause.SEEN) & inside
    rows: dict[str, list[np.ndarray]] = {}
    for person, t in np.ndindex(len(whole), len(moments) - 2):
        t += 1
        if inside[person, t].sum() < 5:
            continue
        joints, around = whole[person, t], slice(t - 1, t + 2)
        low, high = joints[inside[person, t]].min(0), joints[inside[person, t]].max(0)
        extent = np.maximum(BOX_MARGIN * (high - low), 1)
        box = np.concatenate([(low + high - extent) / 2, extent]).astype(np.float32)
        known = inside[person, t].astype(np.float32)
        crop, enlarge = (width, height), dataset["box_enlarge"]
        affine, _ = example_affine(box, crop, joints, known, POSETRACK15, None, None, enlarge)
        keypoints, weights = crop_keypoints(joints.astype(np.float32), known, affine, crop, None)
        between = apply_affine(affine, half[person, t - 1 : t + 1])
        shown = seen[person, t - 1 : t + 1] & seen[person, t : t + 2]
        found = {
            "frames": np.stack([warp(frame, affine, crop) for frame in video.frames[around]]),
            "keypoints": keypoints,
            "joint_weights": weights,
            "transform": invert_affine(affine).astype(np.float32),
            "whole": apply_affine(affine, whole[person, around]),
            "between": between,
            "counted": shown & (between >= 0).all(-1) & (between < crop).all(-1),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    if not rows:
        return None
    made = {name: np.stack(values) for name, values in rows.items()}
    ones = np.ones(len(made["frames"]), np.float32)
    fields = {name: made[name] for name in ("frames", "keypoints", "joint_weights", "transform")}
    batch = ClipBatch(**fields, box_score=ones, index=np.arange(len(ones), dtype=np.int32), valid=ones)
    return Clips(batch, made["whole"], made["between"], made["counted"])


def straight(places: np.ndarray) -> np.ndarray:
    """Half-way between neighbours: [..., 3, K, 2] to [..., 2, K, 2]."""
    return (places[..., :-1, :, :] + places[..., 1:, :, :]) / 2


def spline(places: np.ndarray) -> np.ndarray:
    """The natural cubic spline through three moments, half-way between them: [..., 3, K, 2] to [..., 2, K, 2].

    Its second derivative is 0 at both ends and 3/2 of the second difference in the middle; a cubic piece of length 1
    lies a sixteenth of the sum of its ends' second derivatives off its chord.
    """
    bend = 1.5 * (places[..., :1, :, :] - 2 * places[..., 1:2, :, :] + places[..., 2:, :, :])
    return straight(places) - bend / 16


def score(detected: np.ndarray, synthesized: np.ndarray, clips: Clips) -> dict[str, float]:
    """Mean distance from the true places in crop pixels of each method, and the number of joints that it is over.

    Args:
      detected: places in the three frames, [n, 3, K, 2], crop pixels.
      synthesized: places at t ± ½, [n, 2, K, 2], crop pixels.
      clips: the truth.
    """
    made = (synthesized, straight(detected), spline(detected), straight(clips.frames))
    away = [np.linalg.norm(places - clips.between, axis=-1)[clips.counted] for places in made]
    return {name: float(each.mean()) for name, each in zip(METHODS, away)} | {"joints": int(clips.counted.sum())}


def estimator(run: pathlib.Path) -> tuple[Mapping[str, Any], Callable[[ClipBatch], tuple[np.ndarray, np.ndarray]]]:
    """The config of a run, and (batch) -> detected and synthesized places, crop pixels.

    Raises:
      InputError: the run is of another system, or has no synthesizer.
    """
    config, model, variables = load_model(run)
    options, evaluation = config["model"], config["eval"]
    if options["name"] != "tipsd" or options["interim"] != "synthesized" or options["interim_at_test"] == "blend":
        raise InputError(f"--runs {run}: it is no tipsd with a synthesizer")
    if config["dataset"]["skeleton"] != POSETRACK15.name:
        raise InputError(f"--runs {run}: its joints are not those of {POSETRACK15.name}, which the renderer knows")
    stride = config["dataset"]["input_size"][0]

    @jax.jit
    def places(variables: Any, batch: ClipBatch) -> tuple[jax.Array, jax.Array]:
        output = model.apply(variables, batch)
        scale = stride / output.heatmaps.shape[1]
        maps = (output.initial_heatmaps, output.interim)
        return tuple(decode(m, evaluation["decode"], evaluation["blur_kernel"])[0] * scale for m in maps)

    size = evaluation["batch_size"]

    def estimate(batch: ClipBatch) -> tuple[np.ndarray, np.ndarray]:
        count, found = len(batch.valid), []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)  # always of one size: compiled once
            found.append(jax.device_get(places(variables, jax.tree.map(lambda x, r=rows: x[r], batch))))
        return tuple(np.concatenate(each)[:count] for each in zip(*found))

    return config, estimate


def measure(
    run: pathlib.Path, seed: int, videos: int, scene: SyntheticConfig, pictures: pathlib.Path | None = None
) -> dict[str, Any]:
    """A run's figures by regime: the mean over videos, and of the difference from the straight line its standard error.

    Args:
      run: workdir of a training.
      seed: of the rendered videos.
      videos: of each regime.
      scene: what they look like.
      pictures: folder that gets a picture of each of the first fast videos.
    """
    config, estimate = estimator(run)
    result = {}
    for regime in REGIMES:
        one = dataclasses.replace(scene, fast_fraction=float(regime == "fast"))
        rows = []
        for index in range(videos):
            clips = clips_of(render_video(video_rng(seed, "test", index), one), one, config["dataset"])
            if clips is None or not clips.counted.any():
                continue
            detected, synthesized = estimate(clips.batch)
            rows.append(score(detected, synthesized, clips))
            if pictures is not None and regime == "fast" and len(rows) <= PICTURES:
                draw(pictures / f"{seed}_{index:03d}.png", detected, synthesized, clips)
        if not rows:
            raise InputError(f"seed {seed}: no {regime} video of {videos} shows a joint; render more")
        result[regime] = summary(rows)
    return result


def most_bent(clips: Clips) -> tuple[int, int, int]:
    """Clip, side (0 before t, 1 after) and joint whose true place is farthest from the straight line."""
    away = np.linalg.norm(straight(clips.frames) - clips.between, axis=-1)
    return tuple(int(i) for i in np.unravel_index(np.argmax(np.where(clips.counted, away, -1.0)), away.shape))


def draw(path: pathlib.Path, detected: np.ndarray, synthesized: np.ndarray, clips: Clips) -> None:
    """The joint whose path bends most, in the frames before and after it, as the supplement's Fig. 1 shows parts.

    Args:
      path: PNG to write.
      detected, synthesized, clips: as `score` takes them.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    clip, side, joint = most_bent(clips)
    frames = np.asarray(clips.batch.frames)[clip, side : side + 2].astype(np.float32)
    first, second = detected[clip, side, joint], detected[clip, side + 1, joint]
    figure, axis = plt.subplots(figsize=(5, 5.6), constrained_layout=True)
    axis.imshow(frames.mean(0) / 255)
    axis.annotate("", second, first, arrowprops={"arrowstyle": "->", "color": "blue"})
    for place, look, label in (
        (first, {"marker": "o", "c": "lime"}, "detected before"),
        (second, {"marker": "o", "c": "cyan"}, "detected after"),
        (synthesized[clip, side, joint], {"marker": "*", "c": "blue"}, "synthesized"),
        (clips.between[clip, side, joint], {"marker": "x", "c": "red"}, "true"),
    ):
        axis.scatter(*place, s=70, label=label, zorder=3, **look)
    around = np.stack([first, second, synthesized[clip, side, joint], clips.between[clip, side, joint]])
    middle, reach = around.mean(0), max(16.0, 0.8 * np.ptp(around, 0).max())
    axis.set_xlim(middle[0] - reach, middle[0] + reach)
    axis.set_ylim(middle[1] + reach, middle[1] - reach)
    axis.set_title(POSETRACK15.joints[joint], fontsize=9)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of the videos' figures the mean, and how far each method is from the straight line, video by video."""
    table = {name: np.array([row[name] for row in rows]) for name in (*METHODS, "joints")}
    found: dict[str, float] = {name: float(table[name].mean()) for name in METHODS}
    for name in ("synthesized", "spline"):
        change = table[name] - table["straight"]
        error = change.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else float("nan")
        found |= {f"{name} less straight": float(change.mean()), f"{name} less straight, error": float(error)}
    return found | {"videos": len(rows), "joints": int(table["joints"].sum())}


def table(result: Mapping[str, Any]) -> str:
    """Markdown: one row a run and regime."""
    head = ["run", "videos", *METHODS, "synthesized less straight", "spline less straight"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for run in result["runs"]:
        for regime in REGIMES:
            row = run["figures"][regime]
            changes = [
                f"{row[f'{name} less straight']:+.3f} ± {row[f'{name} less straight, error']:.3f}"
                for name in ("synthesized", "spline")
            ]
            figures = [f"{row[name]:.2f}" for name in METHODS]
            lines.append("| " + " | ".join([f"seed {run['seed']}", regime, *figures, *changes]) + " |")
    return "\n".join([*lines, "", "Mean distance from the true joints, pixels of the crop; ± one standard error."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", required=True, type=pathlib.Path, help="workdirs of trainings, one a seed")
    parser.add_argument("--videos", type=int, default=40, help="of each regime and run")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for pictures of fast videos")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file with the markers to put the table between")
    given = parser.parse_args()
    runs = []
    for number, run in enumerate(given.runs):
        figures = measure(run, FIRST_SEED + number, given.videos, SyntheticConfig(), given.pictures)
        runs.append({"seed": number, "run": run.name, "figures": figures})
        print(f"{run}: {figures}", flush=True)
    result = {"runs": runs, "machine": machine("flax")}
    publish("interim_poses", result, table(result), given.output, given.page)


if __name__ == "__main__":
    main()

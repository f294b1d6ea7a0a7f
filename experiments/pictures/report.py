"""The report of a quickstart: table, curves, a panel of what the model sees, and an overlay video."""

import dataclasses
import os
import pathlib
import platform
import shlex
from collections.abc import Mapping
from typing import Any

import cv2
import jax
import numpy as np

from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.dataset import generate
from experiments.evaluation.comparison import ROWS, SUBSETS
from experiments.pictures import plots
from experiments.run import clips
from experiments.run.few_steps import FEW_STEPS
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import write_text
from jmpose_jax.inference import drawing
from jmpose_jax.inference.box_files import boxes_from_file
from jmpose_jax.inference.panel import panel
from jmpose_jax.inference.pipeline import predict_video
from jmpose_jax.inference.predictor import from_checkpoint
from jmpose_jax.inference.results import Results
from jmpose_jax.inference.video.reader import VideoWriter
from jmpose_jax.metrics.posetrack import JOINT_GROUPS
from jmpose_jax.ops.heatmaps import decode
from jmpose_jax.pages import markdown_page
from jmpose_jax.progress import ProgressBar
from jmpose_jax.records import ClipBatch
from jmpose_jax.train import trained as trained_models

DEMO_FRAMES = 60
DEMO_SEED = 77_000_000  # far from every data set's seed: the video's people are in no split
RESULT = {"scale": str, "seed": int, "split": str, "clips": int, "steps": dict, "ap": dict, "subsets": dict,
          "joints": dict}  # fmt: skip


def read_result(folder: pathlib.Path) -> dict[str, Any]:
    """The content of a quickstart's `evaluation.json`.

    Raises:
      InputError: there is none, or it is not what a quickstart leaves.
    """
    path = folder / "evaluation.json"
    try:
        result = checks.read_json(path)
        for key, kind in RESULT.items():
            checks.field(result, key, kind, str(path))
        for part, kind in (("steps", int), ("joints", int), ("ap", dict), ("subsets", dict)):
            for name in result[part]:
                checks.field(result[part], name, kind, f"{path}: {part!r}")
        for part, columns in (("ap", (*JOINT_GROUPS, "Total")), ("subsets", SUBSETS)):
            for name in ("backbone", "JM-Pose"):
                checks.field(result[part], name, dict, f"{path}: {part!r}")
            for name, values in result[part].items():
                for column in columns:
                    if values.get(column, "") is not None:  # null is an absent figure
                        checks.field(values, column, float, f"{path}: {part!r}: {name!r}")
    except InputError as fault:
        raise InputError(f"{fault}; remove {folder / 'timing.json'}, and the missing parts are made again") from None
    return result


def caveat(result: Mapping[str, Any]) -> str:
    """What a reader must know before the figures, or nothing."""
    steps = result["steps"].get("jmpose", 0)
    if steps >= FEW_STEPS:
        return ""
    return (
        f"Scale {result['scale']} trains JM-Pose for {steps} steps, to show that every part works: its figures mean "
        "nothing, and its model is of no use. --scale full trains one that is"
    )


def next_commands(folder: pathlib.Path) -> dict[str, str]:
    """What to do with a finished quickstart: what a command is for -> the command."""
    model = folder / "jmpose"
    video: list[Any] = ["--video", "my.mp4"]
    purpose = "Poses on a video of yours"
    for boxes in sorted((folder / "data" / "video" / "annotations" / "train").glob("*.json")):
        rendered = folder / "data" / "video" / f"{boxes.stem}.mp4"
        if rendered.is_file():
            video, purpose = ["--video", rendered, "--boxes", boxes], "Poses on a video (on your own: without --boxes)"
    predict = ["jmpose", "predict", *video, "--checkpoint", model, "--output", folder / "my_poses"]
    # The config of the run names the split that training may look at; the figures here are of the other one.
    evaluate = ["jmpose", "evaluate", "--workdir", model, "--config.dataset.eval_split=test"]
    return {purpose: _shell(predict), "Scores of the model on the test split": _shell(evaluate)}


def _shell(words: list[Any]) -> str:
    return shlex.join(str(word) for word in words)


def pictures(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    """Make `loss.png`, `ap.png`, `panel.png` and `prediction/overlay.mp4` in a quickstart's workdir."""
    result = read_result(folder)
    runs = {"backbone": folder / "backbone", "JM-Pose": folder / "jmpose"}
    print("  losses and AP …", flush=True)
    plots.loss_curves(runs | {"backbone, equal time": folder / "backbone_equal_time"}, folder / "loss.png")
    plots.ap_bars(result["subsets"], SUBSETS, folder / "ap.png")
    print("  what the model sees; compiling …", flush=True)
    clip_panel(folder / "jmpose", config, folder / "panel.png")
    print("  a video: rendering, then its poses; compiling …", flush=True)
    demo_video(folder, int(result["seed"]))


def _numbers(table: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """A table read from JSON, where what is absent is null."""
    return {row: {k: np.nan if v is None else float(v) for k, v in values.items()} for row, values in table.items()}


def clip_panel(checkpoint: pathlib.Path, config: Mapping[str, Any], path: pathlib.Path, shown: int = 4) -> None:
    """Draw what goes in and what comes out for some validation clips: frames, flow, heatmaps, skeletons.

    The clips are those of the first batch whose key frame moves the joints' estimate most: the ones to look at.
    """
    _, model, variables = trained_models.load_model(checkpoint)
    loader = clips.evaluate(config, "val")
    try:
        batch = next(loader)
    finally:
        loader.close()
    output = jax.device_get(jax.jit(model.apply)(variables, batch))
    t = batch.frames.shape[1]
    maps = {"initial": output.initial_heatmaps[:, t // 2], "final": output.heatmaps}
    kernel = config["eval"]["blur_kernel"]
    points = {
        name: tuple(np.asarray(x) for x in decode(m, method=config["eval"]["decode"], blur_kernel=kernel))
        for name, m in maps.items()
    }
    moved = np.linalg.norm(points["final"][0] - points["initial"][0], axis=-1) * (batch.joint_weights > 0)
    chosen = np.argsort(-np.median(np.sort(moved, 1)[:, -4:], 1) * batch.valid)[:shown]
    rows = [_panel_row(batch, maps, points, int(n)) for n in chosen]
    offsets = [f"t{i - t // 2:+d}" if i != t // 2 else "t" for i in range(t)]
    flow = ["flow"] if batch.flow is not None else []
    captions = [*offsets, *flow, "initial heatmaps", "final heatmaps", "backbone", "JM-Pose", "truth"]
    height, width = batch.frames.shape[2:4]
    image = panel(rows, [captions], cell=(2 * height, 2 * width))
    _write_image(path, image)


def _panel_row(batch: ClipBatch, maps: Mapping[str, np.ndarray], points: Mapping[str, Any], n: int) -> list[np.ndarray]:
    frames = np.asarray(batch.frames[n])
    key = frames[len(frames) // 2]
    row = list(frames)
    if batch.flow is not None:
        size = (key.shape[1], key.shape[0])
        # The flow between the frame before the key frame and the key frame.
        flow = np.asarray(batch.flow[n, len(frames) // 2 - 1], np.float32)
        row.append(drawing.flow_to_color(cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)))
    row += [drawing.heatmap_overlay(key, np.asarray(m[n])) for m in maps.values()]
    for xy, score in points.values():
        row.append(drawing.draw_pose(key, 4 * xy[n], score[n], threshold=0.05))
    row.append(drawing.draw_pose(key, np.asarray(batch.keypoints[n]), np.asarray(batch.joint_weights[n])))
    return row


def demo_video(folder: pathlib.Path, seed: int) -> None:
    """Render a longer video of people from no split, and draw the poses that JM-Pose finds in it."""
    source = folder / "data" / "video"
    scene = dataclasses.replace(SyntheticConfig(), num_frames=DEMO_FRAMES)
    generate(str(source), num_videos={"train": 1}, seed=DEMO_SEED + seed, config=scene, num_processes=1, progress=False)
    annotations = next((source / "annotations" / "train").glob("*.json"))
    video = source / f"{annotations.stem}.mp4"
    frames = sorted((source / "images" / "train" / annotations.stem).glob("*.jpg"))
    first = cv2.imread(str(frames[0]))
    with VideoWriter(video, 15.0, (first.shape[1], first.shape[0])) as writer:
        for frame in frames:
            writer.write(cv2.imread(str(frame))[..., ::-1])
    boxes = boxes_from_file(annotations, video.stem)
    predictor = from_checkpoint(str(folder / "jmpose"))
    bar = ProgressBar(len(frames), "  poses on the video")
    predict_video(
        predictor,
        video,
        folder / "prediction",
        boxes.detector,
        images=boxes.images,
        results=Results(draw_threshold=0.1),  # after few steps, all scores are low
        report=lambda _: bar.update(),
    )
    bar.close()
    reader = cv2.VideoCapture(str(folder / "prediction" / "overlay.mp4"))
    stills = []
    for index in range(DEMO_FRAMES):
        ok, image = reader.read()
        if ok and index % (DEMO_FRAMES // 6) == DEMO_FRAMES // 12:
            stills.append(image[..., ::-1])
    reader.release()
    _write_image(folder / "overlay.png", panel([stills[:3], stills[3:]], cell=(240, 320)))


def _write_image(path: pathlib.Path, image: np.ndarray) -> None:
    ok, content = cv2.imencode(".png", image[..., ::-1])
    if not ok:
        raise OSError(f"{path}: OpenCV could not encode the picture")
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content.tobytes())
    os.replace(temporary, path)


def markdown_table(rows: Mapping[str, Mapping[str, float | None]], columns: list[str]) -> str:
    """A Markdown table of percentages; None where there is none."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        cells = ["–" if values[c] is None or np.isnan(values[c]) else f"{values[c]:.1f}" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_report(folder: pathlib.Path, seconds: Mapping[str, float], peak_bytes: float) -> dict[str, Any]:
    """Write `report.md` and `report.html` of a quickstart's workdir.

    Args:
      folder: the workdir, with `evaluation.json` and the pictures.
      seconds: wall time of each part.
      peak_bytes: largest resident memory of this process.

    Returns:
      The content of `evaluation.json`.

    Raises:
      InputError: as `read_result`.
    """
    result = read_result(folder)
    ap, split = _numbers(result["ap"]), _numbers(result["subsets"])
    warning = f"**{text}.**\n\n" if (text := caveat(result)) else ""
    commands = "\n".join(f"{what}:\n\n```sh\n{line}\n```\n" for what, line in next_commands(folder).items())
    base, ours = ap["backbone"]["Total"], ap["JM-Pose"]["Total"]
    gains = {name: ours - values["Total"] for name, values in ap.items() if name != "JM-Pose"}
    joints = ", ".join(f"{part} {result['joints'][part]}" for part in SUBSETS)
    meaning = "\n".join(f"- **{name}**: {text}." for name, text in ROWS.items() if name in ap)
    lines = f"""# JM-Pose on the embedded data set

Scale `{result["scale"]}`, seed {result["seed"]}, {result["clips"]} people in the {result["split"]} split,
whose identities and seeds training never sees. Boxes are the ground truth's; AP is that of the official
PoseTrack evaluator, in percent.
The scenes are rendered: the figures compare methods with one another, they say nothing of real videos.

{warning}JM-Pose reaches **{ours:.1f}**, its backbone {base:.1f}.
JM-Pose minus each row: {", ".join(f"{name} {gain:+.1f}" for name, gain in gains.items())}.

## AP by joint

{markdown_table(ap, [*JOINT_GROUPS, "Total"])}

{meaning}

## Mean AP by what makes a joint hard

{markdown_table(split, list(SUBSETS))}

Annotated joints: {joints}. A row is scored on the subset alone: other joints count neither as missed nor as false.

![AP by subset](ap.png)

## Training

Steps: {", ".join(f"{name} {steps}" for name, steps in result["steps"].items())}.

![losses](loss.png)

## What the model sees and says

Five frames, the flow from the frame before, heatmaps of the backbone and of JM-Pose, the poses read off them, the
truth.
The validation clips shown are those in which JM-Pose moved the backbone's joints most.

![panel](panel.png)

## A video

People from no split: [prediction/overlay.mp4](prediction/overlay.mp4), with [a page on it](prediction/report.html),
`poses.json` and `poses.csv` beside it.

![frames of the overlay video](overlay.png)

## What to do with it

{commands}
## Time

{chr(10).join(f"- {name}: {value:.0f} s" for name, value in seconds.items())}
- together: {sum(seconds.values()):.0f} s; peak memory of the process {peak_bytes / 2**30:.1f} GiB

{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, jax {jax.__version__},
{jax.devices()[0].platform}.
"""
    write_text(folder / "report.md", lines)
    write_text(folder / "report.html", markdown_page(lines, folder))
    return result

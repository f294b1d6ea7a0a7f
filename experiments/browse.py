"""`jmpose browse`: an HTML page of what training sees: crops, joints, target heatmaps and flow, after augmentation.

Example: jmpose browse --dataset ~/posetrack18-shards --output clips.html
"""

import base64
import html
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np
from absl import flags

from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import FLOW_SOURCES, ClipOptions, FlowOptions
from data_pipeline.clips.table import ClipTable
from experiments.command.given import required
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists, place_file
from experiments.run import data
from jmpose_jax.errors import InputError
from jmpose_jax.files import atomic_text, check_inputs_kept
from jmpose_jax.inference.drawing import draw_pose, flow_to_color, heatmap_overlay
from jmpose_jax.ops import heatmaps
from jmpose_jax.progress import progress, say
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, SKELETONS

STRIDE = 4
FLAGS = flags.FLAGS
STYLE = """body{font:14px sans-serif;margin:24px;background:#fff;color:#191919}h1{font-size:20px}
figure{display:inline-block;margin:0 6px 6px 0}figcaption{font-size:11px;color:#666}
img{display:block;height:220px;border:1px solid #bbb}
section{border-top:1px solid #ddd;padding:10px 0}p{margin:0 0 8px}"""


def browse(
    dataset: pathlib.Path,
    output: pathlib.Path,
    split: str | None = None,
    clips: int = 24,
    delta: int = 2,
    input_size: tuple[int, int] = (384, 288),
    augmented: bool = True,
    flow_source: str = "dis",
    flow_pairs: str = "consecutive",
    sigma: float = 3.0,
    skeleton: str | None = None,
    seed: int = 0,
) -> int:
    """Write the page: one file, pictures within it.

    Args:
      dataset: output of `jmpose prepare`.
      output: the page.
      split: by default "train", or the first that there is.
      clips: how many; in the order that training would take them.
      delta: neighbours on each side.
      input_size: (height, width) of the crops.
      augmented: with the paper's augmentations; False shows the plain crops in the table's order.
      flow_source: as for the loader, "none" shows no flow.
      flow_pairs: which frames the flow joins.
      sigma: of the target Gaussians in heatmap pixels.
      skeleton: order of the joints; by default the 15 that PoseTrack scores, or the data set's own.
      seed: of order and augmentation.

    Returns:
      The number of clips shown.

    Raises:
      InputError: no prepared folder, or a setting at fault.
    """
    data.check_prepared(dataset, "--dataset")
    found = sorted(path.stem.removeprefix("clips-") for path in dataset.glob("clips-*.npz"))
    if not found:
        raise InputError(f"--dataset={dataset}: it has no clip table; run `jmpose prepare` again")
    split = split or ("train" if "train" in found else found[0])
    table = ClipTable.load(dataset, split)
    # Of PoseTrack's 17 slots the two ears are never annotated.
    default = POSETRACK15 if table.skeleton == POSETRACK17 else table.skeleton
    names = table.find_skeleton(skeleton or default.name)
    loader = make_loader(
        dataset,
        split,
        ClipOptions(delta, input_size, names.name, augment={} if augmented else None),
        batch_size=1,
        train=augmented,
        seed=seed,
        repeat=False,
        flow=FlowOptions(flow_source, flow_pairs, STRIDE),
    )
    _, offsets = table.windows(delta)
    sections = []
    say("reading the first clip; compiling …")
    try:
        wanted = progress(itertools.islice(loader, clips), min(clips, len(table)), "clips")
        for batch in wanted:
            row = int(batch.index[0])
            video = table.videos[table.clips["video"][row]]
            record = table.clips["key_record"][row]
            place = f"{table.frames['frame_file_name'][record]}, person {table.clips['person_index'][row]}"
            pictures = _pictures(batch, offsets[row], names, input_size, sigma)
            sections.append(_section(f"{video}: {place} (clip {row})", pictures))
    except InputError as fault:
        # The loader names the setting as a config has it.
        raise InputError(str(fault).replace("flow_source=", "--flow=")) from fault
    finally:
        loader.close()
    title = f"{dataset.name}, {split}: {len(sections)} of {len(table)} clips"
    with atomic_text(output) as file:
        file.write(f"<!doctype html><meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>")
        file.write(f"<h1>{html.escape(title)}</h1>")
        file.write("".join(sections))
    return len(sections)


def _pictures(
    batch: Any, offsets: np.ndarray, skeleton: Any, input_size: tuple[int, int], sigma: float
) -> Iterator[tuple[str, np.ndarray]]:
    """Caption and uint8 RGB picture of everything that a clip is; offsets int [T] are those of its frames."""
    frames, weights = batch.frames[0], batch.joint_weights[0]
    key = len(frames) // 2
    for t, frame in enumerate(frames):
        if t == key:
            yield (
                f"key frame, {int((weights > 0).sum())} joints",
                draw_pose(frame, batch.keypoints[0], weights, skeleton=skeleton, threshold=0.5),
            )
        else:
            yield _offset(int(offsets[t]), t - key), frame
    size = (input_size[0] // STRIDE, input_size[1] // STRIDE)
    targets, used = heatmaps.encode(
        jnp.asarray(batch.keypoints[0]), jnp.asarray(weights), heatmap_size=size, stride=STRIDE, sigma=sigma
    )
    joints = int((np.asarray(used) > 0).sum())
    yield f"targets, {joints} joints", heatmap_overlay(frames[key], np.asarray(targets), peak=1.0)
    if batch.flow is not None:
        limit = max(float(np.percentile(np.hypot(*np.moveaxis(batch.flow[0], -1, 0)), 99)), 0.5)
        for pair, flow in enumerate(batch.flow[0]):
            picture = cv2.resize(flow_to_color(flow, limit), frames.shape[2:0:-1], interpolation=cv2.INTER_NEAREST)
            yield f"flow {pair + 1}, full colour {limit:.1f} px", picture


def _offset(found: int, wanted: int) -> str:
    """Which frame stands in a place; near the ends of a video another one stands in for what is not there."""
    there = f"t{found:+d}" if found else "the key frame"
    return there if found == wanted else f"{there} (there is no t{wanted:+d})"


def _section(caption: str, pictures: Iterator[tuple[str, np.ndarray]]) -> str:
    figures = []
    for text, picture in pictures:
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        source = base64.b64encode(data.tobytes()).decode()
        image = f"<img alt='{html.escape(text)}' src='data:image/jpeg;base64,{source}'>"
        figures.append(f"<figure>{image}<figcaption>{html.escape(text)}</figcaption></figure>")
    return f"<section><p>{html.escape(caption)}</p>{''.join(figures)}</section>"


def define_flags() -> None:
    flags.DEFINE_string("dataset", None, "Output of `jmpose prepare`.")
    flags.DEFINE_string("output", "browse.html", "Page to write.")
    flags.DEFINE_string("split", None, "Split to show; train by default.")
    flags.DEFINE_integer("clips", 24, "How many clips.", lower_bound=1)
    flags.DEFINE_integer("delta", 2, "Neighbour frames on each side.", lower_bound=0)
    flags.DEFINE_list("input_size", ["384", "288"], "Height and width of the crops, as 384,288.")
    flags.DEFINE_boolean("augment", True, "With training's augmentations and order; without, plain crops in order.")
    flags.DEFINE_enum("flow", "dis", FLOW_SOURCES, "Where the flow comes from.")
    flags.DEFINE_string("flow_pairs", "consecutive", "Which frames the flow joins.")
    flags.DEFINE_float("sigma", 3.0, "Of the target heatmaps' Gaussians, in heatmap pixels.", lower_bound=0.1)
    flags.DEFINE_string(
        "skeleton", None, f"Order of the joints: {', '.join(SKELETONS)}, or the data set's own, the default."
    )
    flags.DEFINE_integer("seed", 0, "Of order and augmentation.", lower_bound=0)
    define_if_exists()


def run() -> None:
    required(FLAGS["dataset"])
    try:
        height, width = (int(value) for value in FLAGS.input_size)
    except ValueError as error:
        raise InputError(f"--input_size={','.join(FLAGS.input_size)}: two numbers are needed, as 384,288") from error
    dataset = pathlib.Path(FLAGS.dataset)
    if dataset.is_dir():
        check_inputs_kept(dataset.iterdir(), [FLAGS.output])
    output = place_file(FLAGS.output, FLAGS.if_exists)
    shown = browse(
        dataset,
        output,
        split=FLAGS.split,
        clips=FLAGS.clips,
        delta=FLAGS.delta,
        input_size=(height, width),
        augmented=FLAGS.augment,
        flow_source=FLAGS.flow,
        flow_pairs=FLAGS.flow_pairs,
        sigma=FLAGS.sigma,
        skeleton=FLAGS.skeleton,
        seed=FLAGS.seed,
    )
    print(f"wrote {output} ({shown} clips)")


def main(argv: list[str] | None = None) -> None:
    define_flags()
    launch(run, argv)


if __name__ == "__main__":
    main()

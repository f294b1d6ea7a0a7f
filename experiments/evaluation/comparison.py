"""The honest table: every row that JM-Pose has to beat, on one split, over all joints and over subsets of them."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.clips.table import ClipTable
from data_pipeline.synthetic.annotations import MOTION_DISTANCES
from data_pipeline.synthetic.visibility import Cause
from experiments.command.reported import reported
from experiments.evaluation.estimates import Estimates, Scorer, estimate_split
from experiments.evaluation.scores import NOT_ANNOTATED, without_nan
from experiments.run import clips, data
from jmpose_jax.inference.estimate import HEATMAP_STRIDE, to_image
from jmpose_jax.models.jmpose.heatmap_aggregation import frame_weights
from jmpose_jax.ops import heatmaps as heatmap_ops
from jmpose_jax.ops.resample import translate
from jmpose_jax.progress import ProgressBar
from jmpose_jax.records import ClipBatch
from jmpose_jax.skeletons import POSETRACK17_TO_15
from jmpose_jax.train import trained as trained_models

# What each row is, in the order of the table.
ROWS = {
    "backbone": "the image backbone on the key frame",
    "fixed average": "its heatmaps of the 2δ+1 frames averaged with fixed weights; nothing is learned",
    "JM-Pose": "the model, on the frozen backbone",
    "JM-Pose, key frame only": "the same weights, fed the key frame 2δ+1 times and no flow",
    "backbone, equal time": "the backbone trained on for as long as stage 2 took",
    "oracle average": "the fixed average along the true motion of every joint, which no method knows",
}
SUBSETS = ("all", "seen", "hidden", "self-occluded", "blurred", "slow", "fast")


def key_frame_only(batch: ClipBatch) -> ClipBatch:
    """The batch as an image model sees it: the key frame in every place, no motion."""
    t = batch.frames.shape[1]
    frames = jnp.broadcast_to(batch.frames[:, t // 2, None], batch.frames.shape)
    return batch.replace(frames=frames, flow=None if batch.flow is None else jnp.zeros_like(batch.flow))


def heatmap_rows(model: Any, variables: Any, batch: ClipBatch, motion: jax.Array) -> dict[str, jax.Array]:
    """The heatmaps of the rows that need no other network.

    Args:
      model, variables: JM-Pose.
      batch: clips.
      motion: float32 [B, T, K, 2], true motion of each joint from every frame to the key frame, crop pixels.

    Returns:
      Row name -> heatmaps [B, h, w, K].
    """
    # One call for both inputs: compiled once, and in evaluation no clip depends on another.
    both = jax.tree.map(lambda *halves: jnp.concatenate(halves), batch, key_frame_only(batch))
    output = model.apply(variables, both)
    final, key_only = jnp.split(output.heatmaps, 2)
    initial = jnp.split(output.initial_heatmaps, 2)[0]
    t = initial.shape[1]
    weights = frame_weights(t // 2)
    average = functools.partial(jnp.einsum, "bthwk,t->bhwk", precision=jax.lax.Precision.HIGHEST)
    return {
        "backbone": initial[:, t // 2],
        "fixed average": average(initial, weights),
        "JM-Pose": final,
        "JM-Pose, key frame only": key_only,
        "oracle average": average(translate(initial, motion / HEATMAP_STRIDE), weights),
    }


def compare(
    jmpose: str | pathlib.Path, split: str, config: Mapping[str, Any], equal_time: str | pathlib.Path | None = None
) -> tuple[dict[str, Estimates], ClipTable]:
    """Estimates of every row on a split.

    Args:
      jmpose: checkpoint of JM-Pose.
      split: which split.
      config: of JM-Pose, with the data set's place.
      equal_time: checkpoint of the backbone trained for the same total time.

    Returns:
      Row name -> estimates, and the split's clip table.
    """
    _, model, variables = trained_models.load_model(jmpose)
    table = ClipTable.load(data.dataset_root(config), split)
    decode = functools.partial(
        heatmap_ops.decode, method=config["eval"]["decode"], blur_kernel=config["eval"]["blur_kernel"]
    )
    longer, longer_variables = None, None
    if equal_time is not None:
        _, longer, longer_variables = trained_models.load_model(equal_time)

    # The variables are arguments: as constants XLA would spend a minute folding them.
    @jax.jit
    def rows(variables: Any, longer_variables: Any, batch: ClipBatch, motion: jax.Array) -> dict[str, Any]:
        maps = heatmap_rows(model, variables, batch, motion)
        if longer is not None:
            maps["backbone, equal time"] = longer.apply(longer_variables, batch).heatmaps
        decoded = {name: decode(m) for name, m in maps.items()}
        return {name: (to_image(xy * HEATMAP_STRIDE, batch.transform), s) for name, (xy, s) in decoded.items()}

    motion = true_motion(table, config["dataset"]["delta"])
    loader = clips.evaluate(config, split)
    try:
        estimates = estimate_split(
            lambda batch: rows(variables, longer_variables, batch, crop_motion(motion, batch)),
            reported(loader, f"estimates on {split}"),
            len(table),
            config["dataset"]["skeleton"],
        )
    finally:
        loader.close()
    return {name: estimates[name] for name in ROWS if name in estimates}, table


def true_motion(table: ClipTable, delta: int) -> np.ndarray:
    """float32 [n, 2δ+1, 15, 2]: what each joint travels from every frame of its clip to the key frame, image pixels.

    The embedded data set tells it for `MOTION_DISTANCES` (column `joint_motion`); a repeated frame has none.
    """
    _, offsets = table.windows(delta)
    stored = np.asarray(table.clips["joint_motion"], np.float32).reshape(len(table), 4, 17, 2)
    motion = np.zeros((len(table), 2 * delta + 1, 17, 2), np.float32)
    for place, distance in enumerate(MOTION_DISTANCES):
        clip, slot = np.nonzero(offsets == distance)
        motion[clip, slot] = stored[clip, place]
    return motion[:, :, list(POSETRACK17_TO_15)]


def crop_motion(motion: np.ndarray, batch: ClipBatch) -> np.ndarray:
    """The motion of a batch's clips in crop pixels."""
    linear = np.linalg.inv(np.asarray(batch.transform)[:, :, :2])
    return np.einsum("btkj,bij->btki", motion[np.asarray(batch.index)], linear).astype(np.float32)


def subsets(table: ClipTable) -> dict[str, np.ndarray]:
    """The joints of every clip by what makes them hard, bool [n, 15] each.

    The causes are those of the key frame; "blurred" is a frame softer than its neighbours or smeared by motion; "slow"
    and "fast" are the two speed regimes of the videos.
    """
    to_15 = list(POSETRACK17_TO_15)
    annotated = table.clips["annotated"][:, to_15]
    cause = np.asarray(table.clips["joint_cause"])[:, to_15]
    blurred = np.asarray(table.clips["blurred"]).astype(bool)[:, None]
    fast = (np.asarray(table.clips["speed_regime"]) == "fast")[:, None]
    return {
        "all": np.ones_like(annotated),
        "seen": annotated & (cause == Cause.SEEN.name.lower()),
        "hidden": annotated & (cause == Cause.HIDDEN.name.lower()),
        "self-occluded": annotated & (cause == Cause.SELF_OCCLUDED.name.lower()),
        "blurred": annotated & blurred,
        "slow": annotated & ~fast,
        "fast": annotated & fast,
    }


def score(estimates: Mapping[str, Estimates], table: ClipTable, annotations: pathlib.Path) -> dict[str, Any]:
    """AP of every row by joint group over all joints, and its mean over every subset.

    Args:
      estimates: row name -> estimates of every clip.
      table: clip table of the split.
      annotations: folder of the split's ground truth.

    Returns:
      {"ap": row -> {joint group: AP}, "subsets": row -> {subset: mean AP}, "joints": subset -> number of joints,
      "clips": number of clips}; AP in percent, None where there is none, with the reason under "absent".
    """
    scorer = Scorer(table, annotations)
    parts = subsets(table)
    annotated = table.clips["annotated"][:, list(POSETRACK17_TO_15)]
    names = [name for name in ROWS if name in estimates] + [name for name in estimates if name not in ROWS]
    ap, split = {}, {}
    bar = ProgressBar(len(names) * len(parts), "  scores")
    for name in names:
        ap[name] = scorer.ap(estimates[name])
        split[name] = {}
        for part, mask in parts.items():
            split[name][part] = ap[name]["Total"] if part == "all" else scorer.ap(estimates[name], mask)["Total"]
            bar.update()
    bar.close()
    counts = {part: int((mask & annotated).sum()) for part, mask in parts.items()}
    absent: dict[str, str] = {}
    for name in names:
        ap[name], of_groups = without_nan("ap", ap[name], NOT_ANNOTATED)
        split[name], of_subsets = without_nan("subsets", split[name], "no annotated joint is in the subset")
        absent |= of_groups | of_subsets
    result = {"ap": ap, "subsets": split, "joints": counts, "clips": len(table)}
    return result | ({"absent": absent} if absent else {})

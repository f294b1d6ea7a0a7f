"""Estimates of every clip of a split, and their PoseTrack AP: shared by `evaluate`, `quickstart` and the studies."""

import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from data_pipeline.clips.table import ClipTable
from experiments.run.data import skeleton_of
from jmpose_jax.errors import InputError
from jmpose_jax.inference.estimate import Variables, estimator, model_heatmaps
from jmpose_jax.inference.joint_orders import to_posetrack15
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.metrics.sequence import Sequence, from_predictions
from jmpose_jax.posetrack.files import read_file
from jmpose_jax.records import ClipBatch, Predictions
from jmpose_jax.skeletons import POSETRACK15
from jmpose_jax.train import distributed
from jmpose_jax.train.preemption import PreemptionNotice

Estimates = tuple[np.ndarray, np.ndarray]  # keypoints float32 [n, 15, 2] in image pixels, scores float32 [n, 15]


def configured_estimator(
    config: Any, model: nn.Module, source: str = "the model"
) -> Callable[[Variables, ClipBatch], tuple[jax.Array, jax.Array]]:
    """A model's estimator with the flip test and decoding of a config, to be jitted; `source`: see `run_model`."""
    maps = model_heatmaps(
        model,
        skeleton_of(config),
        flip_test=config.eval.flip_test,
        shift=config.eval.shift_heatmap,
        source=source,
    )
    return estimator(maps, decode=config.eval.decode, blur_kernel=config.eval.blur_kernel)


def run_split(function: Callable[[Any], Any], loader: Iterable[Any], count: int) -> Any:
    """Run a function over one pass of a split.

    Args:
      function: of a batch; a tree of arrays [B, …].
      loader: one pass in fixed order over this process's share; padding has `valid` 0. Every process gives the same
        number of batches.
      count: examples of the split.

    Returns:
      The tree with arrays [count, …], in the order of the split's table.

    Raises:
      InputError: the loader lost an example.
      Preempted, Interrupted: SIGTERM or Ctrl-C came; all processes stop at the same batch.
      HostLost: another process died or cannot be reached.
    """
    parts, indices, valid = [], [], []
    with distributed.told_of_lost_host(), PreemptionNotice("stopping after this batch") as notice:
        for batch in loader:
            if notice.reached():
                raise notice.stopped(" during evaluation, nothing was written; run the same command again")
            indices.append(np.asarray(batch.index))
            valid.append(np.asarray(batch.valid))
            parts.append(jax.tree.map(np.asarray, function(batch)))
        if not indices:
            raise InputError(f"the split has {count} clips, the loader gave none: prepare the data set again")
        joined = jax.tree.map(lambda *column: np.concatenate(column), *parts)
        order, valid, joined = distributed.gather((np.concatenate(indices), np.concatenate(valid), joined))
    keep = valid > 0
    order = order[keep]
    if sorted(order.tolist()) != list(range(count)):
        raise InputError(f"the split has {count} clips, the loader gave {len(order)}: prepare the data set again")
    back = np.argsort(order)
    return jax.tree.map(lambda column: column[keep][back], joined)


def estimate_split(
    function: Callable[[ClipBatch], Mapping[str, Any]],
    loader: Iterable[ClipBatch],
    count: int,
    skeleton: str = POSETRACK15.name,
) -> dict[str, Estimates]:
    """`run_split` of several estimators: row name -> estimates of the 15 joints that are scored.

    Args:
      function: of a batch; row name -> keypoints [B, K, 2] in image pixels and scores [B, K].
      loader, count: as in `run_split`.
      skeleton: the joints that the function gives: "posetrack15", "posetrack17" or "coco17".
    """
    found = run_split(function, loader, count)
    return {name: in_posetrack15(columns, skeleton) for name, columns in found.items()}


def in_posetrack15(found: Any, skeleton: str) -> Estimates:
    """Keypoints [n, K, 2] and scores [n, K] of a skeleton's joints as those of the 15 that are scored.

    Raises:
      InputError: the joints are not those of the skeleton.
    """
    return to_posetrack15(*found, skeleton)


def to_predictions(
    table: ClipTable, estimates: Estimates, annotations: pathlib.Path
) -> list[tuple[Predictions, np.ndarray]]:
    """The estimates by video.

    Args:
      table: clip table of the split.
      estimates: of every clip, in the table's order.
      annotations: folder of the split's ground truth; its image lists are taken over, as the evaluator wants them.

    Returns:
      One pair a ground-truth file, in the order of names: the predictions, and for each pose the annotated person in
      whose box it was estimated (-1 for detections).
    """
    keypoints, scores = estimates
    video_of_clip = np.asarray(table.videos)[table.clips["video"]]
    result = []
    for path in sorted(annotations.glob("*.json")):
        images = read_file(path, unannotated=True).images
        rows = np.flatnonzero(video_of_clip == path.stem)
        person = table.clips["person_index"][rows]
        track = table.clips["track_id"][rows]
        # Detections have no track; the place within the frame serves, as in DCPose's evaluation.
        track = np.where(track >= 0, track, _place_in_frame(table.clips["image_id"][rows]))
        predictions = Predictions(
            video=path.stem,
            images=tuple({"file_name": i.file_name, "id": i.image_id, "frame_id": i.image_id} for i in images),
            image_id=table.clips["image_id"][rows],
            keypoints=keypoints[rows],
            scores=scores[rows],
            boxes=table.clips["box"][rows],
            track_id=track,
        )
        result.append((predictions, person))
    return result


def _place_in_frame(image_id: np.ndarray) -> np.ndarray:
    seen: dict[int, int] = {}
    places = []
    for i in image_id.tolist():
        places.append(seen.get(i, 0))
        seen[i] = places[-1] + 1
    return np.asarray(places, np.int64)


class Scorer:
    """PoseTrack AP of estimates on one split, over all joints or over a subset of them."""

    def __init__(self, table: ClipTable, annotations: pathlib.Path):
        """Read the ground truth.

        Args:
          table: clip table of the split, from ground-truth boxes.
          annotations: folder of the split's ground truth.
        """
        self._table, self._annotations = table, annotations
        self._truth: list[Sequence] = [read_sequence(p, ground_truth=True) for p in sorted(annotations.glob("*.json"))]

    def ap(self, estimates: Estimates, subset: np.ndarray | None = None) -> dict[str, float]:
        """AP in percent by joint group and "Total".

        Args:
          estimates: of every clip.
          subset: bool [n, 15], the joints to score; all by default. The others count neither as missed nor as false.

        Returns:
          The columns of the PoseTrack tables; NaN throughout where the subset is empty.
        """
        pairs = to_predictions(self._table, estimates, self._annotations)
        predictions = [from_predictions(p, person) for p, person in pairs]
        truth = self._truth
        if subset is not None:
            if not subset.any():
                return {name: float("nan") for name in (*posetrack.JOINT_GROUPS, "Total")}
            keys = zip(self._table.clips["image_id"].tolist(), self._table.clips["person_index"].tolist())
            truth, predictions = posetrack.restrict(truth, predictions, dict(zip(keys, subset)))
        return posetrack.evaluate_sequences(truth, predictions).ap

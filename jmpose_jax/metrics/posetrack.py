"""PoseTrack AP and MOTA, by the rules of the official evaluator (poseval).

What to know about the numbers: a predicted joint counts as false where the person's joint is not annotated; the
visibility flag of the annotation is not read; the threshold is half of 0.6 × the head box's diagonal; `Total` is the
mean over the 15 joints, not over the columns; frames without an annotated person are left out.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.files import json_files
from jmpose_jax.metrics.average_precision import TIE_ORDERS, area_under_envelope, precision_recall
from jmpose_jax.metrics.ignore_regions import remove_ignored
from jmpose_jax.metrics.matching import match
from jmpose_jax.metrics.reading import read_sequence, to_sequence
from jmpose_jax.metrics.remarks import remarks
from jmpose_jax.metrics.sequence import Sequence, align_frames, keep_frames
from jmpose_jax.metrics.tracking import TrackingCounts, count_tracking
from jmpose_jax.posetrack.files import read_file
from jmpose_jax.skeletons import JOINT_GROUPS


@dataclasses.dataclass(frozen=True)
class PoseTrackResult:
    """Percentages, joints in the order of `skeletons.POSETRACK15`.

    Attributes:
      ap, mota: "Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total". A joint that is annotated nowhere is NaN
        and left out of the means; MOTA is NaN where no sequence has two annotated frames.
      ap_per_joint, precision_per_joint, recall_per_joint, mota_per_joint: float64 [15]. Precision and recall are those
        with every prediction taken in.
      annotated_joints, predicted_joints: int64 [15], how many were compared.
      tracking: the counts behind MOTA, summed over the sequences.
      sequences, frames: how many were compared.
      unused_predictions: prediction files without ground truth, which were not read.
      remarks: what the scores rest on that the files do not say.
    """

    ap: dict[str, float]
    mota: dict[str, float]
    ap_per_joint: np.ndarray
    precision_per_joint: np.ndarray
    recall_per_joint: np.ndarray
    mota_per_joint: np.ndarray
    annotated_joints: np.ndarray
    predicted_joints: np.ndarray
    tracking: TrackingCounts
    sequences: int
    frames: int
    unused_predictions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def evaluate(
    ground_truth_dir: str | pathlib.Path, prediction_dir: str | pathlib.Path, ties: str = "official"
) -> PoseTrackResult:
    """Compare two folders of per-video JSON files, of either annotation form, paired by file name.

    Args:
      ground_truth_dir: `<video>.json` with annotations and head boxes.
      prediction_dir: `<video>.json` for each of them, listing every image of the video.
      ties: order of equal scores, see `average_precision.precision_recall`.

    Raises:
      InputError: for a missing or malformed file, frames that differ, or predictions that share nothing with the ground
        truth.
    """
    ground_truth_dir, prediction_dir = pathlib.Path(ground_truth_dir), pathlib.Path(prediction_dir)
    truth_files, prediction_files = _files(ground_truth_dir), _files(prediction_dir)
    missing = [name for name in truth_files if name not in prediction_files]
    if len(missing) == len(truth_files):
        raise InputError(
            f"{prediction_dir}: no file has the name of a ground-truth file of {ground_truth_dir} "
            f"(such as {missing[0]}); write one file a video under the video's name"
        )
    if missing:
        raise InputError(
            f"{prediction_dir}: {missing[0]} is absent ({len(missing)} of {len(truth_files)} videos); "
            f"every video of {ground_truth_dir} needs a file, also one without poses"
        )
    # Everything is read before anything is scored, so that a fault in the last file costs no time.
    truth = read_truth(ground_truth_dir)
    predicted = [read_sequence(prediction_files[name]) for name in truth_files]
    result = evaluate_sequences(truth, predicted, ties)
    unused = tuple(sorted(prediction_files.keys() - truth_files.keys()))
    return dataclasses.replace(result, unused_predictions=unused, remarks=remarks(truth, predicted))


def read_truth(folder: pathlib.Path, unannotated: bool = False) -> list[Sequence]:
    """The ground truth of a folder in the order of its files' names.

    Args:
      folder: of the per-video files.
      unannotated: accept files without annotations, as test splits are published.

    Raises:
      InputError: naming the first file that cannot be scored, and what is wrong with it.
    """
    return [
        to_sequence(read_file(path, unannotated=unannotated), ground_truth=True) for path in _files(folder).values()
    ]


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return {path.name: path for path in json_files(folder)}


def evaluate_sequences(
    ground_truth: Iterable[Sequence], predictions: Iterable[Sequence], ties: str = "official"
) -> PoseTrackResult:
    """Compare sequences in memory, paired by position.

    Args:
      ground_truth, predictions: of equal length and order; the sequences are read one pair at a time.
      ties: order of equal scores, see `average_precision.precision_recall`.

    Raises:
      InputError: where names or frames differ, or nothing can be compared.
    """
    if ties not in TIE_ORDERS:
        raise InputError(f"ties={ties!r} is not known; use one of {', '.join(TIE_ORDERS)}")
    scores, correct, present, tracking = [], [], [], TrackingCounts.zeros()
    annotated = np.zeros(15, np.int64)
    sequences = frames = 0
    for truth, predicted in zip(ground_truth, predictions, strict=True):
        if truth.name != predicted.name:
            raise InputError(f"ground truth of {truth.name} is paired with predictions of {predicted.name}")
        truth, predicted = prepare(truth, predicted)
        matches = match(predicted, truth)
        scores.append(predicted.scores)
        correct.append(matches.correct)
        present.append(predicted.present)
        annotated += truth.present.sum(axis=0)
        tracking += count_tracking(predicted, truth, matches)
        sequences += truth.num_frames > 0
        frames += truth.num_frames
    if not annotated.any():
        raise InputError("the ground truth holds no annotated joint; is it the split with published annotations?")
    scores, correct, present = (np.concatenate(column) for column in (scores, correct, present))
    if not present.any():
        raise InputError(
            "no predicted joint lies in an annotated frame; do the predictions belong to this ground truth?"
        )
    curves = [
        precision_recall(scores[present[:, j], j], correct[present[:, j], j], annotated[j], ties) for j in range(15)
    ]
    area = 100 * np.array([area_under_envelope(*curve) for curve in curves])
    last = 100 * np.array([[c[-1] if len(c) else 0.0 for c in curve] for curve in curves])
    known = annotated > 0
    ap, recall = np.where(known, area, np.nan), np.where(known, last[:, 1], np.nan)
    mota = tracking.mota()
    return PoseTrackResult(
        ap=group_means(ap),
        mota=group_means(mota),
        ap_per_joint=ap,
        precision_per_joint=last[:, 0],
        recall_per_joint=recall,
        mota_per_joint=mota,
        annotated_joints=annotated,
        predicted_joints=present.sum(axis=0),
        tracking=tracking,
        sequences=int(sequences),
        frames=frames,
    )


def prepare(truth: Sequence, predicted: Sequence) -> tuple[Sequence, Sequence]:
    """Align the frames, drop those without an annotated person, and remove the joints in ignore regions."""
    predicted = align_frames(predicted, truth)
    labelled = np.flatnonzero(truth.labelled)
    truth, predicted = keep_frames(truth, labelled), keep_frames(predicted, labelled)
    regions = truth.ignore_regions
    return remove_ignored(truth, regions), remove_ignored(predicted, regions)


def group_means(values: np.ndarray) -> dict[str, float]:
    """The columns of the result table from 15 joint values; NaN joints are left out of a mean."""

    def mean(column: np.ndarray) -> float:
        column = column[~np.isnan(column)]
        return float(column.mean()) if len(column) else float("nan")

    groups = {name: mean(values[list(joints)]) for name, joints in JOINT_GROUPS.items()}
    return {**groups, "Total": mean(values)}


def restrict(
    ground_truth: Iterable[Sequence], predictions: Iterable[Sequence], keep: Mapping[tuple[int, int], np.ndarray]
) -> tuple[list[Sequence], list[Sequence]]:
    """Leave only a subset of the joints, so that AP can be split into seen and hidden, slow and fast ones.

    A joint outside the subset is removed from the ground truth and from the predictions made from the same person's
    box, so that neither counts as missed or false. It takes predictions made from ground-truth boxes.

    Args:
      ground_truth, predictions: of equal length and order, the same image ids on both sides.
      keep: (image id, position of the person among the annotations of the frame) -> bool [15]; a person who is not in
        it keeps no joint.

    Returns:
      The two lists, restricted.

    Raises:
      InputError: where a prediction does not say from whose box it was made.
    """
    restricted = ([], [])
    for truth, predicted in zip(ground_truth, predictions, strict=True):
        if (predicted.person_index < 0).any():
            raise InputError(f"{predicted.label()}: a pose without person_index; predict from ground-truth boxes")
        for out, sequence in zip(restricted, (truth, predicted)):
            image_ids = sequence.image_ids[sequence.frame].tolist()
            subset = np.zeros(sequence.present.shape, bool)
            for n, key in enumerate(zip(image_ids, sequence.person_index.tolist())):
                subset[n] = keep.get(key, False)
            out.append(dataclasses.replace(sequence, present=sequence.present & subset))
    return restricted

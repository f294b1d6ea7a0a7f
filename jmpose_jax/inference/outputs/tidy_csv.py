"""`poses.csv`: a tidy table, one row a frame, person and joint."""

import csv
import os

from jmpose_jax.files import atomic_text
from jmpose_jax.inference.outputs.finite import check_predictions
from jmpose_jax.records import Predictions

COLUMNS = ("frame", "time_s", "track_id", "joint", "x", "y", "score", "track_score", "interpolated")


def write_csv(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write the columns `COLUMNS`; rows are ordered as the poses are, and their joints as the skeleton's.

    `frame` is the frame's number in the video, from 0; `time_s` is seconds since the video's first frame; x and y are
    pixels; `track_score` is the person's; `interpolated` is 1 where no network gave the pose, else 0. What is not known
    is empty. A frame without people has no row.

    Raises:
      InputError: a number is not finite.
    """
    check_predictions(predictions)
    times = [""] * len(predictions.images)
    if predictions.times is not None:
        times = [f"{time:.6f}" for time in predictions.times]
    sure = [""] * len(predictions.track_id)
    if predictions.track_score is not None:
        sure = [f"{score:.4f}" for score in predictions.track_score]
    between = [0] * len(sure) if predictions.interpolated is None else predictions.interpolated.astype(int).tolist()
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        places, numbers = predictions.frame.tolist(), predictions.number.tolist()
        for place, number, track, points, scores, *of_person in zip(
            places, numbers, predictions.track_id.tolist(), predictions.keypoints, predictions.scores, sure, between
        ):
            for joint, (x, y), score in zip(predictions.skeleton.joints, points.tolist(), scores.tolist()):
                of_joint = joint, f"{x:.3f}", f"{y:.3f}", f"{score:.6f}"
                writer.writerow((number, times[place], track, *of_joint, *of_person))

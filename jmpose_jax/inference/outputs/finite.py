"""No result file holds a number that is not finite."""

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.records import Predictions


def check_finite(
    video: str, frame: int | np.ndarray, boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray
) -> None:
    """Refuse what no reader of JSON takes, and what as a score would rank above or below all others.

    Args:
      video: its name.
      frame: the number of the frame, one or int [N].
      boxes: [N, 4]; keypoints: [N, K, 2]; scores: [N, K].

    Raises:
      InputError: naming the first frame with a value that is not finite.
    """
    frames = np.broadcast_to(frame, len(boxes))
    for what, values in (("box", boxes), ("joints", keypoints), ("scores", scores)):
        finite = np.isfinite(values).all(axis=tuple(range(1, np.ndim(values))))
        if not finite.all():
            n = int(np.argmin(finite))
            person = int(np.sum(frames[:n] == frames[n]))
            raise InputError(
                f"video {video}: {what} of person {person} in frame {frames[n]} are not finite; the checkpoint is "
                "damaged or its training went astray, use another one"
            )


def check_predictions(predictions: Predictions) -> None:
    """`check_finite` of a whole video."""
    check_finite(predictions.video, predictions.frame, predictions.boxes, predictions.keypoints, predictions.scores)


def numbers(values: np.ndarray) -> list[float]:
    """float32 values with the fewest digits that give them back exactly: files stay small and scores distinct."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]

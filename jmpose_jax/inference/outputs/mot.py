"""`poses.mot.txt`: the boxes of the tracks as the MOTChallenge's tools read them."""

import os

from jmpose_jax.files import atomic_text
from jmpose_jax.inference.outputs.finite import check_predictions
from jmpose_jax.records import Predictions


def write_mot(predictions: Predictions, path: str | os.PathLike) -> None:
    """Write one line a person and frame: frame, id, left, top, width, height, confidence, -1, -1, -1.

    Frames count from 1, as the form has it; identities are those of the other files. The confidence is the box's, 1
    where it is not known.

    Raises:
      InputError: a number is not finite.
    """
    check_predictions(predictions)
    frames = predictions.number
    with atomic_text(path) as file:
        for n in sorted(range(len(frames)), key=lambda n: (frames[n], predictions.track_id[n])):
            box = ",".join(f"{value:.3f}" for value in predictions.boxes[n].tolist())
            sure = 1.0 if predictions.box_scores is None else float(predictions.box_scores[n])
            file.write(f"{frames[n] + 1},{predictions.track_id[n]},{box},{sure:.6f},-1,-1,-1\n")
